//! Length-prefixed byte strings, for hashing and for stored records.

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// Hashes `parts` under `context`, each with its length, so that no two different lists share an input.
pub(crate) fn digest(context: &str, parts: &[&[u8]]) -> domain::Digest {
    let mut hasher = Sha256::new();
    for part in std::iter::once(context.as_bytes()).chain(parts.iter().copied()) {
        hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(part);
    }
    domain::Digest::from_bytes(hasher.finalize().into())
}

/// `version`, then each part after its length as four big-endian bytes; erased when dropped.
pub(crate) fn pack(version: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    // Reserved at once: growing would leave unerased copies of a secret behind.
    let size = parts.iter().fold(1_usize, |sum, p| sum.saturating_add(p.len()).saturating_add(4));
    let mut out = Zeroizing::new(Vec::with_capacity(size));
    out.push(version);
    for part in parts {
        out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// The `N` parts of a record packed under `version`; `None` for anything else, trailing bytes included.
pub(crate) fn unpack<const N: usize>(version: u8, bytes: &[u8]) -> Option<[&[u8]; N]> {
    let (&found, mut rest) = bytes.split_first()?;
    if found != version {
        return None;
    }
    let mut parts = [[].as_slice(); N];
    for part in &mut parts {
        let (len, tail) = rest.split_first_chunk::<4>()?;
        (*part, rest) = tail.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
    }
    rest.is_empty().then_some(parts)
}
