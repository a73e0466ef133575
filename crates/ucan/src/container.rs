//! UCAN container v0.1.0: several tokens in one message, `<header byte><DAG-CBOR {"ctn-v1": [token…]}>`, where the
//! header says how the CBOR is compressed and encoded.

use crate::{Error, MAX_PROOFS, MAX_TOKEN_BYTES, cbor};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use ipld_core::ipld::Ipld;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

const KEY: &str = "ctn-v1";

/// How a container is written; the first byte of the container says which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `@`: the CBOR bytes.
    Raw,
    /// `B`: base64, standard alphabet, padded.
    Base64,
    /// `C`: base64, URL alphabet, unpadded. Fits into an HTTP header.
    Base64Url,
    /// `M`: gzip.
    RawGzip,
    /// `O`: gzip, then base64, standard alphabet, padded.
    Base64Gzip,
    /// `P`: gzip, then base64, URL alphabet, unpadded.
    Base64UrlGzip,
}

#[derive(Clone, Copy)]
enum Base {
    Raw,
    Standard,
    Url,
}

impl Encoding {
    /// Every encoding of the specification.
    pub const ALL: [Self; 6] =
        [Self::Raw, Self::Base64, Self::Base64Url, Self::RawGzip, Self::Base64Gzip, Self::Base64UrlGzip];

    /// The header byte.
    pub const fn header(self) -> u8 {
        match self {
            Self::Raw => b'@',
            Self::Base64 => b'B',
            Self::Base64Url => b'C',
            Self::RawGzip => b'M',
            Self::Base64Gzip => b'O',
            Self::Base64UrlGzip => b'P',
        }
    }

    /// The encoding that a header byte announces.
    pub fn from_header(header: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.header() == header)
    }

    const fn parts(self) -> (Base, bool) {
        match self {
            Self::Raw => (Base::Raw, false),
            Self::Base64 => (Base::Standard, false),
            Self::Base64Url => (Base::Url, false),
            Self::RawGzip => (Base::Raw, true),
            Self::Base64Gzip => (Base::Standard, true),
            Self::Base64UrlGzip => (Base::Url, true),
        }
    }
}

/// How much a container may hold. A token above [`MAX_TOKEN_BYTES`] is refused whatever these say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the container as received.
    pub max_container_bytes: usize,
    /// Number of tokens.
    pub max_tokens: usize,
    /// Bytes of one token.
    pub max_token_bytes: usize,
    /// Bytes after base64 decoding and decompression: what bounds a zip bomb.
    pub max_inflated_bytes: usize,
}

impl Default for Limits {
    /// An invocation with the most proofs it can name, within 256 KiB.
    fn default() -> Self {
        Self {
            max_container_bytes: 256 * 1024,
            max_tokens: MAX_PROOFS.saturating_add(1),
            max_token_bytes: MAX_TOKEN_BYTES,
            max_inflated_bytes: 256 * 1024,
        }
    }
}

/// Writes a container; tokens are sorted bytewise and written once each, as the specification demands.
pub fn encode<T: AsRef<[u8]>>(encoding: Encoding, tokens: &[T]) -> Result<Vec<u8>, Error> {
    let sorted: BTreeSet<&[u8]> = tokens.iter().map(AsRef::as_ref).collect();
    let list = sorted.into_iter().map(|token| Ipld::Bytes(token.to_vec())).collect();
    let plain = cbor::encode(&Ipld::Map(BTreeMap::from([(KEY.to_owned(), Ipld::List(list))])))?;
    let (base, gzip) = encoding.parts();
    let body = if gzip { compress(&plain)? } else { plain };
    let mut out = vec![encoding.header()];
    match base {
        Base::Raw => out.extend(body),
        Base::Standard => out.extend(BASE64_STANDARD.encode(body).into_bytes()),
        Base::Url => out.extend(BASE64_URL_SAFE_NO_PAD.encode(body).into_bytes()),
    }
    Ok(out)
}

/// Reads the tokens of a container, in the order they stand in; they are bytes still, and prove nothing until opened.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Vec<Vec<u8>>, Error> {
    if bytes.len() > limits.max_container_bytes {
        return Err(Error::TooLarge("container bytes"));
    }
    let (header, body) = bytes.split_first().ok_or(Error::Malformed("empty container"))?;
    let (base, gzip) = Encoding::from_header(*header).ok_or(Error::Malformed("container header"))?.parts();
    let body = match base {
        Base::Raw => body.to_vec(),
        Base::Standard => BASE64_STANDARD.decode(body).map_err(|_| Error::Malformed("container base64"))?,
        Base::Url => BASE64_URL_SAFE_NO_PAD.decode(body).map_err(|_| Error::Malformed("container base64url"))?,
    };
    let plain = if gzip { inflate(&body, limits.max_inflated_bytes)? } else { body };
    if plain.len() > limits.max_inflated_bytes {
        return Err(Error::TooLarge("container content"));
    }
    tokens(cbor::decode(&plain)?, limits)
}

fn tokens(content: Ipld, limits: &Limits) -> Result<Vec<Vec<u8>>, Error> {
    let Ipld::Map(mut map) = content else { return Err(Error::Malformed("container is not a map")) };
    let Some(Ipld::List(list)) = map.remove(KEY).filter(|_| map.is_empty()) else {
        return Err(Error::Malformed("container has no single ctn-v1 list"));
    };
    if list.len() > limits.max_tokens {
        return Err(Error::TooLarge("tokens in container"));
    }
    let token = |item| match item {
        Ipld::Bytes(bytes) if bytes.len() > limits.max_token_bytes.min(MAX_TOKEN_BYTES) => {
            Err(Error::TooLarge("token bytes"))
        }
        Ipld::Bytes(bytes) => Ok(bytes),
        _ => Err(Error::Malformed("container item is not bytes")),
    };
    let tokens = list.into_iter().map(token).collect::<Result<Vec<_>, _>>()?;
    let distinct: BTreeSet<&Vec<u8>> = tokens.iter().collect();
    if distinct.len() == tokens.len() { Ok(tokens) } else { Err(Error::Malformed("container repeats a token")) }
}

fn compress(plain: &[u8]) -> Result<Vec<u8>, Error> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).and_then(|()| encoder.finish()).map_err(|_| Error::Malformed("gzip"))
}

/// One gzip member, at most `limit` bytes, nothing after it.
fn inflate(body: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let mut decoder = GzDecoder::new(body);
    let mut plain = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.by_ref().take(bound).read_to_end(&mut plain).map_err(|_| Error::Malformed("gzip"))?;
    if plain.len() > limit {
        return Err(Error::TooLarge("container content"));
    }
    if decoder.into_inner().is_empty() { Ok(plain) } else { Err(Error::Malformed("bytes after gzip")) }
}
