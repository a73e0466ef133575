//! Canonical DAG-CBOR: bounded before it is decoded, compared with its re-encoding after.

use crate::Error;
use ipld_core::ipld::Ipld;

/// Deepest nesting of lists and maps in a token or container; recursive walks of a decoded value stay this shallow.
pub const MAX_DEPTH: usize = 32;

/// Decodes `bytes` and refuses any input that is not exactly what encoding the value gives.
///
/// Two byte strings for one token would have two CIDs: replay protection and revocation both key on the CID.
pub(crate) fn decode(bytes: &[u8]) -> Result<Ipld, Error> {
    scan(bytes)?;
    let value: Ipld = serde_ipld_dagcbor::from_slice(bytes).map_err(|_| Error::Malformed("dag-cbor"))?;
    if encode(&value)? == bytes { Ok(value) } else { Err(Error::NonCanonical) }
}

/// The canonical encoding of `value`.
pub(crate) fn encode(value: &Ipld) -> Result<Vec<u8>, Error> {
    serde_ipld_dagcbor::to_vec(value).map_err(|_| Error::Malformed("value has no dag-cbor form"))
}

/// One pass over the item heads without recursion or allocation by claimed length: depth, definite lengths, lengths
/// that fit the input, exactly one top-level item.
fn scan(bytes: &[u8]) -> Result<(), Error> {
    let mut rest = bytes;
    // Items still to come on each open level; a fixed array, so hostile nesting costs nothing.
    let mut open = [0u64; MAX_DEPTH];
    let mut depth = 0usize;
    loop {
        let (major, argument) = head(&mut rest)?;
        let available = u64::try_from(rest.len()).unwrap_or(u64::MAX);
        let children = match major {
            2 | 3 => {
                let length = usize::try_from(argument).map_err(|_| Error::Malformed("dag-cbor length"))?;
                rest = rest.get(length..).ok_or(Error::Malformed("dag-cbor length"))?;
                None
            }
            4 => Some(argument),
            5 => Some(argument.saturating_mul(2)),
            6 => Some(1),
            _ => None,
        };
        if let Some(count) = children {
            // Every child takes at least one byte.
            if count > available {
                return Err(Error::Malformed("dag-cbor length"));
            }
            *open.get_mut(depth).ok_or(Error::TooLarge("nesting depth"))? = count;
            depth = depth.saturating_add(1);
        }
        while let Some(level) = depth.checked_sub(1) {
            match open.get_mut(level) {
                Some(left) if *left > 0 => {
                    *left = left.saturating_sub(1);
                    break;
                }
                _ => depth = level,
            }
        }
        if depth == 0 {
            return if rest.is_empty() { Ok(()) } else { Err(Error::Malformed("trailing bytes")) };
        }
    }
}

fn head(rest: &mut &[u8]) -> Result<(u8, u64), Error> {
    const ERROR: Error = Error::Malformed("dag-cbor head");
    let (first, mut tail) = rest.split_first().ok_or(ERROR)?;
    let argument = match first & 0x1f {
        small @ 0..24 => u64::from(small),
        24 => u64::from(u8::from_be_bytes(take(&mut tail)?)),
        25 => u64::from(u16::from_be_bytes(take(&mut tail)?)),
        26 => u64::from(u32::from_be_bytes(take(&mut tail)?)),
        27 => u64::from_be_bytes(take(&mut tail)?),
        _ => return Err(Error::Malformed("indefinite length")),
    };
    *rest = tail;
    Ok((first >> 5, argument))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Error> {
    let (bytes, tail) = rest.split_first_chunk().ok_or(Error::Malformed("dag-cbor head"))?;
    *rest = tail;
    Ok(*bytes)
}
