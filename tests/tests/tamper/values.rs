//! Somebody wants another decision and knows how the log is encoded: amounts, limits, policies and decisions are
//! changed to well-formed others, with every hash that the database can be made to agree with.

use crate::{
    built::Built,
    rows::{Case, Expected, Outsider},
};
use domain::Digest;

/// DAG-CBOR of a text.
fn text(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    assert!(length < 24);
    [&[0x60 | length], text.as_bytes()].concat()
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes.windows(old.len()).position(|w| w == old).expect("the value is there");
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

pub fn cases(built: &Built) -> Vec<Case> {
    let s = &built.seqs;
    let mut cases = Vec::new();
    let limit = |key: &str, last: u8| [&text(key)[..], &[0x1b, 0, 0, 0, 1, 0x2a, 0x05, 0xf2, last]].concat();
    let daily = |first: u8| [&text("daily_total")[..], &[0x1b, 0, 0, 0, first, 0xa8, 0x17, 0xc8, 0x00]].concat();
    let total = |last: u8| [&text("total")[..], &[0x19, 0x01, last]].concat();
    let tokens: [(&str, u64, Vec<u8>, Vec<u8>); 4] = [
        ("an amount", s.approved, total(0xf4), total(0xf3)),
        ("a limit per payout", s.grant, limit("max_per_payout", 0), limit("max_per_payout", 1)),
        ("a daily budget", s.grant, daily(4), daily(5)),
        ("a policy", s.policy, b"violation".to_vec(), b"violatjon".to_vec()),
    ];
    for (what, seq, old, new) in tokens {
        let row = format!("where seq = {seq} and ordinal = 0");
        let forged = replaced(&built.database.blob(&format!("select bytes from tokens {row}")), &old, &new);
        let cid = built.database.literal(Digest::sha256(&forged).as_bytes());
        let bytes = built.database.literal(&forged);
        let alone = format!("update tokens set bytes = {bytes} {row}");
        let addressed = format!(
            "update tokens set bytes = {bytes}, cid = {cid} {row}; update entries set statement = {cid} where seq = {seq}"
        );
        for (how, sql) in [("its bytes", alone), ("and its CIDs", addressed)] {
            cases.push(Case {
                what: format!("{what} in a token, {how}"),
                sql,
                start: Expected::Bad("tokens", seq),
                outsider: Outsider::Finds,
            });
        }
    }
    let deny = [&text("effect")[..], &text("deny")].concat();
    let allow = [&text("effect")[..], &text("allow")].concat();
    cases.push(entry(built, "a decision", s.denied, &deny, &allow));
    let review = [&text("effect")[..], &text("review")].concat();
    cases.push(entry(built, "a review", s.review, &review, &allow));
    cases
}

/// A changed entry with its leaf hash.
fn entry(built: &Built, what: &str, seq: u64, old: &[u8], new: &[u8]) -> Case {
    let row = format!("where seq = {seq}");
    let forged = replaced(&built.database.blob(&format!("select bytes from entries {row}")), old, new);
    let leaf = built.database.literal(log::leaf_hash(&forged).as_bytes());
    let bytes = built.database.literal(&forged);
    Case {
        what: format!("{what} in an entry, and its leaf hash"),
        sql: format!("update entries set bytes = {bytes}, leaf = {leaf} {row}"),
        start: Expected::Bad("entries", seq),
        outsider: Outsider::Finds,
    }
}
