use crate::LoadError;
use domain::Digest;
use std::collections::BTreeMap;

/// A bundle has at most this many modules.
pub const MAX_MODULES: usize = 16;
/// Paths, sources and data of a bundle are at most this many bytes together: a statement that activates a bundle must
/// carry it whole.
pub const MAX_BUNDLE_BYTES: usize = 48 * 1024;
/// A module's path is at most this many bytes.
const MAX_PATH_BYTES: usize = 128;
/// Begins the canonical encoding, so that its digest can be mistaken for no other digest of the system.
const TAG: &[u8] = b"countersign/policy-bundle/v1\0";

/// Rego modules and the data document that they read, bounded in size. Tests are not part of a bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    modules: BTreeMap<String, String>,
    data: String,
}

impl Bundle {
    /// A bundle of `modules` (path inside the bundle to source) and `data` (the text of a JSON object).
    pub fn new(modules: BTreeMap<String, String>, data: String) -> Result<Self, LoadError> {
        if modules.is_empty() {
            return Err(LoadError::whole("bundle", "a bundle has at least one module"));
        }
        if modules.len() > MAX_MODULES {
            let reason = format!("{} modules; a bundle has at most {MAX_MODULES}", modules.len());
            return Err(LoadError::whole("bundle", reason));
        }
        for path in modules.keys() {
            check_path(path)?;
        }
        let size = modules
            .iter()
            .fold(data.len(), |sum, (path, source)| sum.saturating_add(path.len()).saturating_add(source.len()));
        if size > MAX_BUNDLE_BYTES {
            let reason = format!("{size} bytes; a bundle has at most {MAX_BUNDLE_BYTES}");
            return Err(LoadError::whole("bundle", reason));
        }
        Ok(Self { modules, data })
    }

    /// The bundle that a tenant starts with: `rego/payout/payout.rego` and its `config.json`.
    pub fn default_payout() -> Self {
        let source = include_str!("../rego/payout/payout.rego").to_owned();
        Self {
            modules: BTreeMap::from([("payout/payout.rego".to_owned(), source)]),
            data: include_str!("../rego/payout/config.json").to_owned(),
        }
    }

    /// The modules, path to source.
    pub fn modules(&self) -> &BTreeMap<String, String> {
        &self.modules
    }

    /// The text of the data document.
    pub fn data(&self) -> &str {
        &self.data
    }

    /// The canonical bytes: the tag, the number of modules, then path and source of each in the order of paths, then the
    /// data. Numbers are 8 bytes big-endian and every text is preceded by its length, so no two bundles share bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = TAG.to_vec();
        number(&mut out, self.modules.len());
        for (path, source) in &self.modules {
            text(&mut out, path);
            text(&mut out, source);
        }
        text(&mut out, &self.data);
        out
    }

    /// Reads canonical bytes back. Bytes that [`Bundle::encode`] would not write are refused.
    pub fn decode(bytes: &[u8]) -> Result<Self, LoadError> {
        let malformed = || LoadError::whole("bundle", "not the canonical bytes of a policy bundle");
        if bytes.len() > MAX_BUNDLE_BYTES.saturating_mul(2) {
            return Err(malformed());
        }
        let mut rest = bytes.strip_prefix(TAG).ok_or_else(malformed)?;
        let count = take_number(&mut rest).filter(|n| *n <= MAX_MODULES).ok_or_else(malformed)?;
        let mut modules = BTreeMap::new();
        for _ in 0..count {
            let path = take_text(&mut rest).ok_or_else(malformed)?;
            let source = take_text(&mut rest).ok_or_else(malformed)?;
            modules.insert(path, source);
        }
        let data = take_text(&mut rest).ok_or_else(malformed)?;
        let bundle = Self::new(modules, data)?;
        if bundle.encode() == bytes { Ok(bundle) } else { Err(malformed()) }
    }

    /// The content address: SHA-256 of [`Bundle::encode`].
    pub fn id(&self) -> Digest {
        Digest::sha256(&self.encode())
    }
}

fn check_path(path: &str) -> Result<(), LoadError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./".contains(&b);
    let well_formed = path.len() <= MAX_PATH_BYTES
        && path.bytes().all(plain)
        && path.split('/').all(|part| !part.is_empty() && !part.starts_with('.'))
        && path.strip_suffix(".rego").is_some_and(|stem| !stem.is_empty());
    if !well_formed {
        return Err(LoadError::whole("bundle", format!("{path:?} is not a relative path that ends in .rego")));
    }
    if path.ends_with("_test.rego") {
        return Err(LoadError::whole(path, "tests are not part of a bundle"));
    }
    Ok(())
}

fn number(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&u64::try_from(n).unwrap_or(u64::MAX).to_be_bytes());
}

fn text(out: &mut Vec<u8>, s: &str) {
    number(out, s.len());
    out.extend_from_slice(s.as_bytes());
}

fn take_number(rest: &mut &[u8]) -> Option<usize> {
    let (head, tail) = rest.split_first_chunk::<8>()?;
    *rest = tail;
    usize::try_from(u64::from_be_bytes(*head)).ok()
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    let length = take_number(rest)?;
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    String::from_utf8(head.to_vec()).ok()
}
