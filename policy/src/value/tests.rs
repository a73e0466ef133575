#![allow(clippy::unwrap_used, reason = "tests")]

use super::{MAX_TEXT_BYTES, of};
use crate::{Asset, Input, probe};
use domain::{Address, AssetId, AssetKind, ChainId};
use regorus::Value;

/// What is in every object is filled in.
fn same_as_its_json(input: &Input) {
    let json = String::from_utf8(input.canonical_json()).unwrap();
    let read = Value::from_json_str(&json).unwrap();
    assert_eq!(of(input), read);
    assert_eq!(of(input).to_json_str().unwrap(), read.to_json_str().unwrap());
}

#[test]
fn value_is_what_parsing_the_canonical_json_gives() {
    for (_, input) in probe::all() {
        same_as_its_json(&input);
    }
    let ordinary = probe::ordinary().unwrap();
    let longest = AssetId { chain: ChainId(u64::MAX), kind: AssetKind::Erc20(Address([0xff; 20])) };
    assert_eq!(longest.to_string().len(), MAX_TEXT_BYTES);
    for id in [longest, AssetId { kind: AssetKind::Native, ..longest }] {
        let asset = ordinary.asset.clone().map(|asset| Asset { id, ..asset });
        same_as_its_json(&Input { asset, ..ordinary.clone() });
    }
}

#[test]
fn one_value_does_not_show_in_the_next() {
    let (ordinary, bare) = (probe::ordinary().unwrap(), probe::bare().unwrap());
    let first = of(&ordinary);
    same_as_its_json(&bare);
    assert_eq!(of(&ordinary), first);
}
