//! Append throughput of both engines.
fn main() {}
