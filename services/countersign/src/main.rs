//! The one binary: every role and every command.
fn main() {}
