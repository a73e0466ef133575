//! The entries of a small log, byte for byte.

use crate::history::eventful;
use std::fmt::Write;

#[test]
fn the_entries_of_a_log() {
    let (_, history) = eventful();
    let mut text = String::new();
    for line in &history.lines {
        let command = ucan::open_invocation(&line.tokens[0]).unwrap().command().to_string();
        let _ = write!(text, "{command} ");
        for byte in &line.entry {
            let _ = write!(text, "{byte:02x}");
        }
        let _ = writeln!(text);
    }
    insta::assert_snapshot!(text);
}
