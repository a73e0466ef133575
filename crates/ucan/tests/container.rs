//! Containers: every encoding of the specification, and nothing a hostile sender can make of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

#[path = "support/chain.rs"]
mod chain;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use chain::three_hops;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use std::io::Write;
use ucan::container::{Encoding, decode, encode};
use ucan::{Error, Limits};

fn limits() -> Limits {
    Limits::default()
}

fn tokens() -> Vec<Vec<u8>> {
    let (invocation, hops) = three_hops();
    let mut tokens: Vec<_> = hops.iter().map(|hop| hop.bytes().to_vec()).collect();
    tokens.push(invocation.bytes().to_vec());
    tokens.sort();
    tokens
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn with_header(header: u8, body: &[u8]) -> Vec<u8> {
    [&[header], body].concat()
}

#[test]
fn every_encoding_returns_the_tokens() {
    let tokens = tokens();
    let mut headers = Vec::new();
    for encoding in Encoding::ALL {
        let packed = encode(encoding, &tokens).unwrap();
        assert_eq!(packed[0], encoding.header());
        headers.push(packed[0]);
        assert_eq!(decode(&packed, &limits()).unwrap(), tokens);
        assert_eq!(Encoding::from_header(packed[0]), Some(encoding));
    }
    assert_eq!(headers, b"@BCMOP");
    for header in 0..=255u8 {
        if !b"@BCMOP".contains(&header) {
            assert_eq!(decode(&[header, 0xa0], &limits()), Err(Error::Malformed("container header")));
        }
    }
}

#[test]
fn writing_is_deterministic() {
    let (a, b) = (vec![2u8], vec![1u8, 9]);
    let packed = encode(Encoding::Raw, &[a.clone(), b.clone(), a.clone()]).unwrap();
    assert_eq!(packed, encode(Encoding::Raw, &[b, a]).unwrap());
    assert_eq!(packed, b"@\xa1\x66ctn-v1\x82\x42\x01\x09\x41\x02");
    assert_eq!(encode(Encoding::Base64Url, &[[0xff; 2]]).unwrap(), b"CoWZjdG4tdjGBQv__");
    assert_eq!(encode(Encoding::Base64, &[[0xff; 2]]).unwrap(), b"BoWZjdG4tdjGBQv//");
    assert_eq!(encode(Encoding::Base64, &[[0xff; 3]]).unwrap(), b"BoWZjdG4tdjGBQ////w==");
}

#[test]
fn token_order_does_not_matter_to_a_reader() {
    let unsorted = b"@\xa1\x66ctn-v1\x82\x41\x02\x41\x01";
    assert_eq!(decode(unsorted, &limits()).unwrap(), [[2], [1]]);
}

#[test]
fn malformed_containers_are_refused() {
    let good = encode(Encoding::Raw, &tokens()).unwrap();
    for length in 0..good.len() {
        assert!(decode(&good[..length], &limits()).is_err(), "{length}");
    }
    let rows: [(&[u8], Error); 12] = [
        (b"", Error::Malformed("empty container")),
        (b"@\xa1\x66ctn-v1\x80\x00", Error::Malformed("trailing bytes")),
        (b"@\xa1\x66ctn-v1\x9f\xff", Error::Malformed("indefinite length")),
        (b"@\xbf\x66ctn-v1\x80\xff", Error::Malformed("indefinite length")),
        (b"@\xa1\x66ctn-v1\x98\x00", Error::NonCanonical),
        (b"@\xa1\x78\x06ctn-v1\x80", Error::NonCanonical),
        (b"@\xa2\x66ctn-v1\x80\x66ctn-v1\x80", Error::Malformed("dag-cbor")),
        (b"@\xa1\x66ctn-v2\x80", Error::Malformed("container has no single ctn-v1 list")),
        (b"@\xa2\x61a\x00\x66ctn-v1\x80", Error::Malformed("container has no single ctn-v1 list")),
        (b"@\x80", Error::Malformed("container is not a map")),
        (b"@\xa1\x66ctn-v1\x81\x61a", Error::Malformed("container item is not bytes")),
        (b"@\xa1\x66ctn-v1\x82\x41\x01\x41\x01", Error::Malformed("container repeats a token")),
    ];
    for (bytes, error) in rows {
        assert_eq!(decode(bytes, &limits()), Err(error), "{bytes:02x?}");
    }
    let deep = with_header(b'@', &[vec![0x81; 5000], vec![0x80]].concat());
    assert_eq!(decode(&deep, &limits()), Err(Error::TooLarge("nesting depth")));
}

#[test]
fn base64_has_one_spelling() {
    let plain = b"\xa1\x66ctn-v1\x81\x43\xff\xfe\xfd";
    let standard = BASE64_STANDARD.encode(plain);
    let url = BASE64_URL_SAFE_NO_PAD.encode(plain);
    assert!(decode(&with_header(b'B', standard.as_bytes()), &limits()).is_ok());
    assert!(decode(&with_header(b'C', url.as_bytes()), &limits()).is_ok());
    let swapped =
        [(b'B', url.clone()), (b'C', standard.clone()), (b'C', format!("{url}=")), (b'B', format!("{standard}\n"))];
    for (header, body) in swapped {
        assert!(decode(&with_header(header, body.as_bytes()), &limits()).is_err(), "{body}");
    }
    // Bits after the last byte must be zero.
    let mut loose = url.into_bytes();
    *loose.last_mut().unwrap() += 1;
    assert!(decode(&with_header(b'C', &loose), &limits()).is_err());
}

#[test]
fn every_limit_holds() {
    let tokens = tokens();
    let longest = tokens.iter().map(Vec::len).max().unwrap();
    let plain = encode(Encoding::Raw, &tokens).unwrap().len() - 1;
    for encoding in Encoding::ALL {
        let packed = encode(encoding, &tokens).unwrap();
        let exact = Limits {
            max_container_bytes: packed.len(),
            max_tokens: tokens.len(),
            max_token_bytes: longest,
            max_inflated_bytes: plain,
        };
        assert_eq!(decode(&packed, &exact).unwrap(), tokens);
        let tighter = [
            (Limits { max_container_bytes: packed.len() - 1, ..exact }, "container bytes"),
            (Limits { max_tokens: tokens.len() - 1, ..exact }, "tokens in container"),
            (Limits { max_token_bytes: longest - 1, ..exact }, "token bytes"),
            (Limits { max_inflated_bytes: plain - 1, ..exact }, "container content"),
        ];
        for (limits, what) in tighter {
            assert_eq!(decode(&packed, &limits), Err(Error::TooLarge(what)), "{encoding:?}");
        }
    }
    let wide = Limits {
        max_token_bytes: usize::MAX,
        max_inflated_bytes: 1 << 20,
        max_container_bytes: 1 << 20,
        max_tokens: 1,
    };
    let huge = encode(Encoding::Raw, &[vec![0; ucan::MAX_TOKEN_BYTES + 1]]).unwrap();
    assert_eq!(decode(&huge, &wide), Err(Error::TooLarge("token bytes")));
}

#[test]
fn a_zip_bomb_stops_at_the_limit() {
    // 64 MiB in 64 KiB; inflating it all would be visible in the time of the test, and the error comes first.
    let bomb = with_header(b'M', &gzip(&vec![0; 64 << 20]));
    assert!(bomb.len() < 100_000);
    assert_eq!(decode(&bomb, &limits()), Err(Error::TooLarge("container content")));
}

#[test]
fn gzip_is_one_whole_member() {
    let plain = b"\xa1\x66ctn-v1\x80";
    let zipped = gzip(plain);
    assert!(decode(&with_header(b'M', &zipped), &limits()).unwrap().is_empty());
    for length in 0..zipped.len() {
        assert!(decode(&with_header(b'M', &zipped[..length]), &limits()).is_err(), "{length}");
    }
    for tail in [&b"x"[..], &zipped] {
        let long = with_header(b'M', &[&zipped[..], tail].concat());
        assert_eq!(decode(&long, &limits()), Err(Error::Malformed("bytes after gzip")));
    }
    let mut checksum = zipped.clone();
    let at = checksum.len() - 8;
    checksum[at] ^= 1;
    assert_eq!(decode(&with_header(b'M', &checksum), &limits()), Err(Error::Malformed("gzip")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn decoding_undoes_encoding(
        tokens in proptest::collection::btree_set(proptest::collection::vec(any::<u8>(), 0..80), 0..9),
        encoding in proptest::sample::select(&Encoding::ALL[..]),
    ) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        prop_assert_eq!(decode(&encode(encoding, &tokens).unwrap(), &limits()).unwrap(), tokens);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        header in proptest::sample::select(&b"@BCMOP"[..]),
        body in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let _ = decode(&with_header(header, &body), &limits());
        let _ = ucan::inspect::describe(&body);
    }
}
