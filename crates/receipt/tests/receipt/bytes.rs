//! The file itself: no second spelling, no byte that does not matter.

use crate::market::reviewed;
use proptest::prelude::*;
use receipt::{MAX_RECEIPT_BYTES, Receipt, Roots, Step, verify};
use serde_json::Value;
use std::sync::LazyLock;

static GOOD: LazyLock<(Vec<u8>, Roots)> = LazyLock::new(|| {
    let (market, paid) = &*reviewed();
    (market.receipt(&paid.rows, &paid.frame).encode().unwrap(), market.roots())
});

fn json() -> Value {
    serde_json::from_slice(&GOOD.0).unwrap()
}

/// Written as a receipt is, if it can be read as one; as plain JSON otherwise.
fn refused(value: &Value) {
    let text = serde_json::to_vec_pretty(value).unwrap();
    let canonical = serde_json::from_slice::<Receipt>(&text).ok().and_then(|r| r.encode().ok());
    let error = verify(canonical.as_ref().unwrap_or(&text), &GOOD.1);
    assert!(error.is_err(), "{} bytes are accepted", text.len());
}

#[test]
fn flipped_bytes_are_refused_wherever_they_are() {
    let (file, roots) = &*GOOD;
    verify(file, roots).unwrap();
    let step = (file.len() / 400).max(1);
    let mut tried = 0;
    for at in (0..file.len()).step_by(step) {
        let mut bad = file.clone();
        bad[at] ^= 1;
        assert!(verify(&bad, roots).is_err(), "byte {at}");
        tried += 1;
    }
    assert!(tried >= 400);
}

#[test]
fn every_field_is_needed_and_none_is_unknown() {
    let objects: Vec<String> = std::iter::once(String::new())
        .chain((0..json()["entries"].as_array().unwrap().len()).map(|i| format!("/entries/{i}")))
        .collect();
    for object in objects {
        let keys: Vec<String> = json().pointer(&object).unwrap().as_object().unwrap().keys().cloned().collect();
        for key in keys {
            let mut value = json();
            value.pointer_mut(&object).unwrap().as_object_mut().unwrap().remove(&key);
            refused(&value);
            let mut value = json();
            value.pointer_mut(&object).unwrap()[&key] = Value::Null;
            refused(&value);
        }
        let mut value = json();
        value.pointer_mut(&object).unwrap()["more"] = Value::from(1);
        refused(&value);
    }
}

#[test]
fn lists_lose_gain_and_reorder_nothing() {
    let entries = json()["entries"].as_array().unwrap().len();
    let mut lists = vec!["/entries".to_owned()];
    for i in 0..entries {
        lists.push(format!("/entries/{i}/tokens"));
        lists.push(format!("/entries/{i}/proof"));
    }
    for list in lists {
        let len = json().pointer(&list).unwrap().as_array().unwrap().len();
        for at in 0..len {
            let mut value = json();
            value.pointer_mut(&list).unwrap().as_array_mut().unwrap().remove(at);
            refused(&value);
            let mut value = json();
            let items = value.pointer_mut(&list).unwrap().as_array_mut().unwrap();
            items.insert(at, items[at].clone());
            refused(&value);
            let mut value = json();
            let items = value.pointer_mut(&list).unwrap().as_array_mut().unwrap();
            let other = (at + 1) % len;
            if items[at] != items[other] {
                items.swap(at, other);
                refused(&value);
            }
        }
    }
}

#[test]
fn second_spellings_are_refused() {
    let (file, roots) = &*GOOD;
    let text = std::str::from_utf8(file).unwrap();
    let compact = serde_json::to_vec(&serde_json::from_slice::<Receipt>(file).unwrap()).unwrap();
    let signature = json()["signature"].as_str().unwrap().to_owned();
    let spellings = [
        compact,
        [file.as_slice(), b"\n"].concat(),
        [b" ", file.as_slice()].concat(),
        file[..file.len() - 1].to_vec(),
        text.replace("\"version\": 1", "\"version\": 1.0").into_bytes(),
        text.replace("\"version\": 1", "\"version\": 2").into_bytes(),
        text.replace("\"version\": 1,", "\"version\": 1,\n  \"version\": 1,").into_bytes(),
        text.replace("did:", "\\u0064id:").replacen("log.example", "\\u006cog.example", 1).into_bytes(),
        text.replace("\"proposal\": \"b", "\"proposal\": \"B").into_bytes(),
        vec![b' '; MAX_RECEIPT_BYTES + 1],
        Vec::new(),
    ];
    for spelling in spellings {
        assert_eq!(verify(&spelling, roots).unwrap_err().step, Step::File);
    }
    let shouted = text.replace(&signature, &signature.to_uppercase());
    assert_eq!(verify(shouted.as_bytes(), roots).unwrap_err().step, Step::Signature);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_byte_may_change(at in any::<prop::sample::Index>(), mask in 1_u8..) {
        let (file, roots) = &*GOOD;
        let mut bad = file.clone();
        bad[at.index(file.len())] ^= mask;
        prop_assert!(verify(&bad, roots).is_err());
    }

    #[test]
    fn no_run_of_bytes_may_go_or_come_twice(a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let (file, roots) = &*GOOD;
        let (a, b) = (a.index(file.len()), b.index(file.len()));
        let (a, b) = (a.min(b), a.max(b).max(a.min(b) + 1));
        prop_assert!(verify(&[&file[..a], &file[b..]].concat(), roots).is_err());
        prop_assert!(verify(&[&file[..b], &file[a..]].concat(), roots).is_err());
    }
}
