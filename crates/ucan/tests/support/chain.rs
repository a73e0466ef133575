//! Fixed keys and a three-hop payout chain.

#![allow(dead_code, reason = "each test file uses its part")]
use domain::{Cid, Did, Time};
use ed25519_dalek::SigningKey;
use std::collections::BTreeMap;
use ucan::issue::{NewDelegation, NewInvocation, delegate, did_of, invoke};
use ucan::{Chain, Context, Delegation, Denied, Invocation, Ipld, Policy, Trust, Verified, authorise};

pub const NOW: Time = Time::from_unix(1_800_000_000);
pub const END: Time = Time::from_unix(1_800_000_600);

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn did(seed: u8) -> Did {
    did_of(&key(seed))
}

pub fn json(text: &str) -> Ipld {
    serde_json::from_str::<serde_json::Value>(text).map(|value| from_json(&value)).unwrap()
}

pub fn from_json(value: &serde_json::Value) -> Ipld {
    use serde_json::Value;
    match value {
        Value::Null => Ipld::Null,
        Value::Bool(b) => Ipld::Bool(*b),
        Value::Number(n) => match n.to_string().parse::<i128>() {
            Ok(n) => Ipld::Integer(n),
            Err(_) => Ipld::Float(n.as_f64().unwrap()),
        },
        Value::String(s) => Ipld::String(s.clone()),
        Value::Array(list) => Ipld::List(list.iter().map(from_json).collect()),
        Value::Object(map) => Ipld::Map(map.iter().map(|(k, v)| (k.clone(), from_json(v))).collect()),
    }
}

pub fn policy(text: &str) -> Policy {
    Policy::try_from(json(text)).unwrap()
}

pub fn map(text: &str) -> BTreeMap<String, Ipld> {
    match json(text) {
        Ipld::Map(map) => map,
        other => panic!("not a map: {other:?}"),
    }
}

/// A delegation of `/proposal` from `from` to `to` on the subject of key 1.
pub fn grant(from: u8, to: u8, change: impl FnOnce(&mut NewDelegation)) -> Verified<Delegation> {
    let mut new = NewDelegation::new(did(to), did(1), "/proposal".parse().unwrap(), [from; 12]);
    new.expiration = Some(END);
    change(&mut new);
    delegate(&key(from), new).unwrap()
}

/// An invocation of `/proposal/payout` by `by` on the subject of key 1.
pub fn call(by: u8, proofs: &[&Verified<Delegation>], change: impl FnOnce(&mut NewInvocation)) -> Verified<Invocation> {
    let mut new = NewInvocation::new(did(1), "/proposal/payout".parse().unwrap(), [by; 12]);
    new.expiration = Some(END);
    new.args = map(r#"{"total": 500}"#);
    new.proofs = proofs.iter().map(|proof| proof.cid()).collect();
    change(&mut new);
    invoke(&key(by), new).unwrap()
}

/// Key 1 → 2 → 3 → 4, and the invocation of 4.
pub fn three_hops() -> (Verified<Invocation>, Vec<Verified<Delegation>>) {
    let hops = vec![
        grant(1, 2, |new| new.policy = policy(r#"[["<=", ".total", 1000]]"#)),
        grant(2, 3, |new| new.policy = policy(r#"[[">", ".total", 0]]"#)),
        grant(3, 4, |new| new.command = "/proposal/payout".parse().unwrap()),
    ];
    let invocation = call(4, &hops.iter().collect::<Vec<_>>(), |_| {});
    (invocation, hops)
}

pub fn store(hops: &[Verified<Delegation>]) -> impl Fn(&Cid) -> Option<Verified<Delegation>> {
    let map: BTreeMap<Cid, _> = hops.iter().map(|hop| (hop.cid(), hop.clone())).collect();
    move |cid| map.get(cid).cloned()
}

/// Judges at `NOW`, trusting key 1, with `change` applied to the context.
pub fn judge<'a>(
    invocation: &Verified<Invocation>,
    hops: &[Verified<Delegation>],
    change: impl FnOnce(&mut Context<'a>),
) -> Result<Chain, Denied> {
    let mut context = Context::new(NOW, Trust::Check(&|subject| *subject == did(1)));
    change(&mut context);
    authorise(invocation, &store(hops), &context)
}
