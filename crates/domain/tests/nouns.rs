//! Texts and values of the nouns: what is written reads back, and nothing else does.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests"
)]

use countersign_domain::{
    AccountId, Address, Amount, AssetId, AssetKind, Bps, ChainAmount, ChainId, Cid, Did, Digest, FULL_BPS, MAX_AMOUNT,
    Name, NodeUrl, OrderId, PluginId, Scale, SplitError, Time, Total, Version, largest_remainder,
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use std::{fmt::Display, str::FromStr};

/// Text and JSON both read back.
fn round<T>(value: &T) -> Result<(), TestCaseError>
where
    T: Display + FromStr + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let text = value.to_string();
    let read = text.parse::<T>().ok();
    prop_assert_eq!(read.as_ref(), Some(value));
    let json = serde_json::to_string(value).unwrap();
    prop_assert_eq!(&json, &format!("\"{text}\""));
    prop_assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), value);
    Ok(())
}

/// Whatever text is accepted is the one that is written: no two spellings of one value.
fn one_spelling<T: Display + FromStr>(text: &str) -> Result<(), TestCaseError> {
    if let Ok(value) = text.parse::<T>() {
        prop_assert_eq!(value.to_string(), text);
    }
    Ok(())
}

fn chains() -> impl Strategy<Value = ChainId> {
    prop_oneof![1_u64..100, 1..=u64::MAX].prop_map(ChainId)
}

fn accounts() -> impl Strategy<Value = AccountId> {
    (chains(), any::<[u8; 20]>()).prop_map(|(chain, a)| AccountId { chain, address: Address(a) })
}

fn assets() -> impl Strategy<Value = AssetId> {
    (chains(), prop::option::of(any::<[u8; 20]>())).prop_map(|(chain, token)| AssetId {
        chain,
        kind: token.map_or(AssetKind::Native, |t| AssetKind::Erc20(Address(t))),
    })
}

/// Shares that sum to the whole: the gaps between cuts of it.
fn shares() -> impl Strategy<Value = Vec<Bps>> {
    prop::collection::btree_set(1_u16..FULL_BPS, 0..16).prop_map(|cuts| {
        let mut last = 0;
        let ends: Vec<u16> = cuts.into_iter().chain([FULL_BPS]).collect();
        ends.into_iter()
            .map(|end| {
                let share = Bps::new(end - last).unwrap();
                last = end;
                share
            })
            .collect()
    })
}

/// A text with one character replaced, taken out or put in.
fn spoil(text: &str, at: usize, with: char, how: u8) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let at = at % chars.len();
    match how {
        0 => chars[at] = with,
        1 => {
            chars.remove(at);
        }
        _ => chars.insert(at, with),
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back(key: [u8; 32], account in accounts(), asset in assets(), address: [u8; 20]) {
        round(&Did::from_key(key))?;
        round(&Digest::from_bytes(key))?;
        round(&Cid::from_digest(Digest::from_bytes(key)))?;
        round(&account)?;
        round(&asset)?;
        round(&Address(address))?;
        let cid = Cid::from_digest(Digest::from_bytes(key));
        prop_assert_eq!(Cid::from_bytes(&cid.to_bytes()), Ok(cid));
    }

    #[test]
    fn there_is_one_spelling(
        key: [u8; 32], account in accounts(), asset in assets(), at: usize, with in any::<char>(), how in 0_u8..3,
        near in "[0-9a-zA-Z:/=. ]",
    ) {
        for c in [with, near.chars().next().unwrap()] {
            one_spelling::<Did>(&spoil(&Did::from_key(key).to_string(), at, c, how))?;
            one_spelling::<Digest>(&spoil(&Digest::from_bytes(key).to_string(), at, c, how))?;
            one_spelling::<Cid>(&spoil(&Cid::from_digest(Digest::from_bytes(key)).to_string(), at, c, how))?;
            one_spelling::<AccountId>(&spoil(&account.to_string(), at, c, how))?;
            one_spelling::<AssetId>(&spoil(&asset.to_string(), at, c, how))?;
            one_spelling::<Address>(&spoil(&account.address.to_string(), at, c, how))?;
        }
    }

    #[test]
    fn capitals_are_no_second_spelling(key: [u8; 32], account in accounts(), asset in assets()) {
        for text in [Digest::from_bytes(key).to_string(), Cid::from_digest(Digest::from_bytes(key)).to_string()] {
            prop_assume!(text.chars().any(char::is_alphabetic));
            prop_assert!(text.to_uppercase().parse::<Digest>().is_err());
            prop_assert!(text.to_uppercase().parse::<Cid>().is_err());
        }
        prop_assert!(account.to_string().to_uppercase().parse::<AccountId>().is_err());
        prop_assert!(asset.to_string().to_uppercase().parse::<AssetId>().is_err());
    }

    #[test]
    fn no_text_is_too_odd_to_be_refused(text in any::<String>()) {
        one_spelling::<Did>(&text)?;
        one_spelling::<Cid>(&text)?;
        one_spelling::<Digest>(&text)?;
        one_spelling::<AccountId>(&text)?;
        one_spelling::<AssetId>(&text)?;
        one_spelling::<Name>(&text)?;
        one_spelling::<OrderId>(&text)?;
        one_spelling::<PluginId>(&text)?;
        one_spelling::<Version>(&text)?;
        one_spelling::<NodeUrl>(&text)?;
    }

    #[test]
    fn amounts_are_numbers_from_one_to_the_largest(n: u64, small in 0_u64..=MAX_AMOUNT + 1) {
        for n in [n, small] {
            let good = (1..=MAX_AMOUNT).contains(&n);
            prop_assert_eq!(Amount::new(n).is_ok(), good);
            let read: Result<Amount, _> = serde_json::from_str(&n.to_string());
            prop_assert_eq!(read.is_ok(), good);
            if let Ok(amount) = read {
                prop_assert_eq!(amount.get(), n);
                prop_assert_eq!(amount.to_string(), n.to_string());
                prop_assert_eq!(serde_json::to_string(&amount).unwrap(), n.to_string());
            }
            prop_assert_eq!(Total::try_from(n).is_ok(), n <= MAX_AMOUNT);
        }
    }

    #[test]
    fn totals_add_and_take_away_or_say_that_they_cannot(a in 0..=MAX_AMOUNT, b in 1..=MAX_AMOUNT) {
        let (total, amount) = (Total::try_from(a).unwrap(), Amount::new(b).unwrap());
        prop_assert_eq!(total.plus(amount).map(Total::get), (a + b <= MAX_AMOUNT).then(|| a + b));
        prop_assert_eq!(total.minus(amount).map(Total::get), a.checked_sub(b));
        if let Some(sum) = total.plus(amount) {
            prop_assert_eq!(sum.minus(amount), Some(total));
        }
    }

    #[test]
    fn chain_amounts_are_exact(n in 1..=MAX_AMOUNT, exponent in 0_u8..=18) {
        let scale = Scale::try_from(exponent).unwrap();
        let amount = Amount::new(n).unwrap().to_chain(scale);
        prop_assert_eq!(Some(amount.get()), u128::from(n).checked_mul(10_u128.pow(exponent.into())));
        let json = serde_json::to_string(&amount).unwrap();
        prop_assert_eq!(&json, &format!("\"{}\"", amount.get()));
        prop_assert_eq!(serde_json::from_str::<ChainAmount>(&json).unwrap(), amount);
    }

    #[test]
    fn parts_sum_to_the_whole_and_are_fair(total in 0..=MAX_AMOUNT, shares in shares()) {
        let parts = largest_remainder(total, &shares).unwrap();
        prop_assert_eq!(parts.len(), shares.len());
        prop_assert_eq!(parts.iter().sum::<u64>(), total);
        let full = u128::from(FULL_BPS);
        for (part, share) in parts.iter().zip(&shares) {
            let exact = u128::from(total) * u128::from(share.get());
            // Within one unit of the exact share, which is a fraction: compared in ten-thousandths.
            prop_assert!((u128::from(*part) * full).abs_diff(exact) < full, "{part} of {total} by {}", share.get());
        }
        prop_assert_eq!(largest_remainder(total, &shares).unwrap(), parts);
    }

    #[test]
    fn who_has_the_larger_remainder_is_served_first(total in 0..=MAX_AMOUNT, shares in shares()) {
        let parts = largest_remainder(total, &shares).unwrap();
        let full = u128::from(FULL_BPS);
        let rows: Vec<(usize, u128, bool)> = shares
            .iter()
            .zip(&parts)
            .enumerate()
            .map(|(i, (share, part))| {
                let exact = u128::from(total) * u128::from(share.get());
                (i, exact % full, u128::from(*part) > exact / full)
            })
            .collect();
        for (i, remainder, up) in &rows {
            for (j, other, other_up) in &rows {
                if up > other_up {
                    prop_assert!(remainder > other || (remainder == other && i < j));
                }
            }
        }
    }

    #[test]
    fn shares_that_do_not_sum_divide_nothing(total in 0..=MAX_AMOUNT, bps in prop::collection::vec(1..=FULL_BPS, 0..20)) {
        let sum: u32 = bps.iter().map(|b| u32::from(*b)).sum();
        let shares: Vec<_> = bps.into_iter().map(|b| Bps::new(b).unwrap()).collect();
        let parts = largest_remainder(total, &shares);
        if sum == u32::from(FULL_BPS) {
            prop_assert!(parts.is_ok());
        } else {
            prop_assert_eq!(parts, Err(SplitError::Sum(sum)));
        }
    }

    #[test]
    fn moments_do_not_wrap(t: u64, s: u64) {
        let time = Time::from_unix(t);
        prop_assert!(time.plus(s) >= time && time.minus(s) <= time);
        prop_assert_eq!(time.plus(s).since(time), s.min(u64::MAX - t));
        prop_assert_eq!(time.since(time.plus(s)), 0);
        prop_assert_eq!(time.day(), t / 86_400);
    }
}

/// Whether each text is refused.
fn all_refused<T: FromStr>(texts: &[&str]) {
    for text in texts {
        assert!(text.parse::<T>().is_err(), "{text:?} is accepted");
    }
}

#[test]
fn bad_spellings_are_refused() {
    let zero = "0x0000000000000000000000000000000000000000";
    all_refused::<Did>(&[
        "",
        "did:key:",
        "did:key:z",
        "did:web:example.com",
        "did:key:z6Mk",
        " did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK",
        "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK#z6Mk",
        "did:key:u7QEuhcwFOvIuEbW3anT3ICnHJ1CVmMBUYp6Pq1RmOeLyAA",
        // secp256k1
        "did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
    ]);
    all_refused::<Cid>(&[
        "",
        "b",
        "Qm",
        "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG",
        // raw instead of dag-cbor
        "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
    ]);
    all_refused::<Digest>(&["", "00", &"0".repeat(63), &"0".repeat(65), &"A".repeat(64), &"g".repeat(64)]);
    all_refused::<Address>(&["", "0x", "0X00", &zero[2..], &zero[..41], &zero.replacen("0x", "0X", 1)]);
    all_refused::<AccountId>(&[
        zero,
        &format!("eip155:0:{zero}"),
        &format!("eip155:01:{zero}"),
        &format!("eip155:+1:{zero}"),
        &format!("eip155::{zero}"),
        &format!("eip155:18446744073709551616:{zero}"),
        &format!("bip122:1:{zero}"),
        &format!("eip155:1:{zero} "),
        &format!("EIP155:1:{zero}"),
    ]);
    all_refused::<AssetId>(&[
        "eip155:1",
        "eip155:1/",
        "eip155:1/slip44:61",
        "eip155:1/slip44:060",
        "eip155:0/slip44:60",
        &format!("eip155:1/erc721:{zero}"),
        &format!("eip155:1/erc20:{zero}/1"),
        &format!("eip155:1/erc20/{zero}"),
        // the native coin has one name
        &format!("eip155:1/erc20:{zero}"),
    ]);
    all_refused::<Name>(&["", " a", "a ", "a\nb", "a\u{0}", &"a".repeat(101)]);
    all_refused::<OrderId>(&["", "a b", "ä", "a/b", &"a".repeat(65)]);
    all_refused::<PluginId>(&["", "a", "a.", ".a", "a..b", "A.b", "a.-b", "a.b-", "a_b.c"]);
    all_refused::<Version>(&["", "1", "1.0", "1.0.0.0", "01.0.0", "1.0.00", "1.0.+1", "v1.0.0", "1.0.4294967296"]);
    all_refused::<NodeUrl>(&["", "http://", "ftp://a", "http://a/", "http://a?b", "http://u@a", "http://a#b", "a:80"]);
}

#[test]
fn a_node_has_a_host_and_a_port_that_there_can_be() {
    all_refused::<NodeUrl>(&[
        "http://a:65536",
        "http://a:99999999999",
        "http://a:0",
        "http://a:080",
        "http://a:+80",
        "http://a:",
        "http://:80",
        "http://:::",
        "http://.",
        "http://a..b",
        "http://-a",
        "http://a-",
        "http://a:b:80",
        "http://[::1",
        "http://::1]",
        "http://[]",
        "http://[::1]:",
        "http://[::1]80",
        "http://[:::]:80",
        "http://1.2.3",
        "http://256.1.1.1",
        "http://1",
        &format!("http://{}", "a".repeat(64)),
        &format!("http://{}a", "a.".repeat(127)),
    ]);
    for text in [
        "http://a",
        "https://node-1.example.com",
        "http://127.0.0.1:7701",
        "http://[::1]:65535",
        "https://[2001:db8::1]",
        "http://1a:1",
        "http://localhost:80",
    ] {
        assert_eq!(text.parse::<NodeUrl>().unwrap().to_string(), text);
    }
}

#[test]
fn numbers_of_another_form_are_refused() {
    for text in ["0", "-1", "1.0", "1e3", "\"1\"", "null", "true", "[1]", "9007199254740992", "18446744073709551616"] {
        assert!(serde_json::from_str::<Amount>(text).is_err(), "{text}");
    }
    for text in ["0", "10001", "-1", "0.5", "\"5\"", "65536"] {
        assert!(serde_json::from_str::<Bps>(text).is_err(), "{text}");
    }
    for text in ["19", "-1", "256", "1.0"] {
        assert!(serde_json::from_str::<Scale>(text).is_err(), "{text}");
    }
}

#[test]
fn ties_go_to_the_earlier() {
    let shares = |bps: &[u16]| bps.iter().map(|b| Bps::new(*b).unwrap()).collect::<Vec<_>>();
    assert_eq!(largest_remainder(1, &shares(&[5_000, 5_000])), Ok(vec![1, 0]));
    assert_eq!(largest_remainder(3, &shares(&[5_000, 5_000])), Ok(vec![2, 1]));
    assert_eq!(largest_remainder(100, &shares(&[3_333, 3_333, 3_334])), Ok(vec![33, 33, 34]));
    assert_eq!(largest_remainder(MAX_AMOUNT, &shares(&[10_000])), Ok(vec![MAX_AMOUNT]));
    assert_eq!(largest_remainder(0, &shares(&[9_999, 1])), Ok(vec![0, 0]));
}
