//! Envelopes built by hand, so that they may say what the issuer functions would refuse.

use super::chain::{did, key};
use ed25519_dalek::{Signer, SigningKey};
use ipld_core::cid::{Cid, multihash::Multihash};
use ipld_core::ipld::Ipld;
use std::collections::BTreeMap;

pub type Payload = BTreeMap<String, Ipld>;

const VARSIG: [u8; 8] = [0x34, 0x01, 0xed, 0x01, 0xed, 0x01, 0x13, 0x71];

fn encode(value: &Ipld) -> Vec<u8> {
    serde_ipld_dagcbor::to_vec(value).unwrap()
}

fn inner(tag: &str, payload: Payload, header: &[u8]) -> Ipld {
    let header = ("h".to_owned(), Ipld::Bytes(header.to_vec()));
    Ipld::Map(BTreeMap::from([header, (tag.to_owned(), Ipld::Map(payload))]))
}

/// An envelope around `payload`, signed by key 1.
pub fn sealed(tag: &str, payload: Payload) -> Vec<u8> {
    sealed_by(&key(1), tag, payload)
}

pub fn sealed_by(key: &SigningKey, tag: &str, payload: Payload) -> Vec<u8> {
    let inner = inner(tag, payload, &VARSIG);
    let signature = key.sign(&encode(&inner)).to_bytes().to_vec();
    encode(&Ipld::List(vec![Ipld::Bytes(signature), inner]))
}

pub fn with_header(tag: &str, payload: Payload, header: &[u8]) -> Vec<u8> {
    let inner = inner(tag, payload, header);
    let signature = key(1).sign(&encode(&inner)).to_bytes().to_vec();
    encode(&Ipld::List(vec![Ipld::Bytes(signature), inner]))
}

pub fn with_signature(tag: &str, payload: Payload, signature: &[u8]) -> Vec<u8> {
    encode(&Ipld::List(vec![Ipld::Bytes(signature.to_vec()), inner(tag, payload, &VARSIG)]))
}

/// An envelope whose second item is `cbor`, unsigned.
pub fn envelope(cbor: &[u8]) -> Vec<u8> {
    [&[0x82, 0x58, 0x40][..], &[0; 64], cbor].concat()
}

pub fn cid_link(codec: u64, hash: u64) -> Ipld {
    Ipld::Link(Cid::new_v1(codec, Multihash::wrap(hash, &[7; 32]).unwrap()))
}

pub mod payload {
    use super::{Ipld, Payload, did};

    fn common() -> Payload {
        Payload::from([
            ("iss".to_owned(), Ipld::String(did(1).to_string())),
            ("sub".to_owned(), Ipld::String(did(1).to_string())),
            ("cmd".to_owned(), Ipld::String("/a".to_owned())),
            ("nonce".to_owned(), Ipld::Bytes(vec![1; 12])),
            ("exp".to_owned(), Ipld::Null),
        ])
    }

    pub fn delegation() -> Payload {
        let base = with(common(), "aud", Ipld::String(did(2).to_string()));
        with(base, "pol", Ipld::List(vec![]))
    }

    pub fn invocation() -> Payload {
        with(with(common(), "args", Ipld::Map(Payload::new())), "prf", Ipld::List(vec![]))
    }

    pub fn with(mut payload: Payload, field: &str, value: Ipld) -> Payload {
        payload.insert(field.to_owned(), value);
        payload
    }

    pub fn without(mut payload: Payload, field: &str) -> Payload {
        payload.remove(field);
        payload
    }
}
