//! Tests of the log against published vectors, against independent implementations, and against hostile input.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

mod chain;
mod export;
mod note;
mod peers;
mod proof;
mod tile;
mod tree;

extern crate countersign_log as log;

use domain::{Cid, Time};
use ed25519_dalek::SigningKey;
use ipld_core::ipld::Ipld;
use log::{Chain, Hash, TILE_WIDTH, TileRef, leaf_hash, node_hash};

fn leaf(i: u64) -> Hash {
    leaf_hash(&i.to_be_bytes())
}

fn leaves(n: u64) -> Vec<Hash> {
    (0..n).map(leaf).collect()
}

/// The definition of RFC 6962 §2.1, word for word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves.len() {
        0 => Hash::empty_root(),
        1 => leaves[0],
        n => {
            let mut k = 1;
            while k * 2 < n {
                k *= 2;
            }
            node_hash(&naive_root(&leaves[..k]), &naive_root(&leaves[k..]))
        }
    }
}

/// Every tile of a tree, computed level by level without `Tree`.
struct Tiles {
    rows: Vec<Vec<Hash>>,
}

impl Tiles {
    fn of(leaves: &[Hash]) -> Self {
        let mut rows = vec![leaves.to_vec()];
        while rows.last().unwrap().len() >= 256 {
            rows.push(rows.last().unwrap().as_chunks::<256>().0.iter().map(|c| naive_root(c)).collect());
        }
        Self { rows }
    }

    fn get(&self, t: TileRef) -> Option<Vec<u8>> {
        assert!((1..=TILE_WIDTH).contains(&t.width), "{t:?}");
        let first = usize::try_from(t.index).ok()? * 256;
        let row = self.rows.get(usize::from(t.level))?.get(first..first + usize::from(t.width))?;
        Some(row.iter().flat_map(Hash::as_bytes).copied().collect())
    }
}

fn hash(hex: &str) -> Hash {
    Hash::from_bytes(*hex.parse::<domain::Digest>().unwrap().as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut s, b| {
        write!(s, "{b:02x}").unwrap();
        s
    })
}

fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn outcome(i: u64) -> Ipld {
    Ipld::Map([("effect".to_owned(), Ipld::String("allow".to_owned())), ("n".to_owned(), Ipld::from(i))].into())
}

/// The bytes of a chain of `n` entries.
fn entries(n: u64) -> Vec<Vec<u8>> {
    let mut chain = Chain::EMPTY;
    (0..n)
        .map(|i| {
            let entry = chain.next(Time::from_unix(1000 + i / 2), Cid::of(&i.to_be_bytes()), outcome(i));
            let bytes = entry.encode().unwrap();
            chain = Chain::at(chain.accept(&bytes).unwrap().1);
            bytes
        })
        .collect()
}
