use crate::{Kind, Passphrase};
use argon2::{Algorithm, Argon2, Params};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use rand_core::CryptoRngCore;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Key packages of both suites for 100 participants fit with room to spare; bounds the file that is read.
pub const MAX_SECRET: usize = 65_536;

const VERSION: u8 = 1;
const KDF: &str = "argon2id";
/// RFC 9106 §4, second recommended option: 64 MiB, three passes; one lane, since servers derive once at start.
const STANDARD_MEMORY_KIB: u32 = 65_536;
const STANDARD_PASSES: u32 = 3;
/// A file may ask for at most 1 GiB and 16 passes, so that a planted file cannot exhaust its reader.
const MAX_MEMORY_KIB: u32 = 1_048_576;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 8;

/// How dear one guess of the passphrase is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hardness {
    /// 64 MiB and three passes: about a tenth of a second.
    #[default]
    Standard,
    /// The least Argon2 allows. Protects nothing; for tests that make many files.
    Testing,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kdf<'a> {
    name: &'a str,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The file's JSON; `salt`, `nonce` and `ciphertext` are standard base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<'a> {
    version: u8,
    kind: &'a str,
    #[serde(borrow)]
    kdf: Kdf<'a>,
    salt: String,
    nonce: String,
    ciphertext: String,
}

/// Everything the cipher authenticates beside the ciphertext.
#[derive(Serialize)]
struct Associated<'a> {
    version: u8,
    kind: &'a str,
    kdf: Kdf<'a>,
    salt: &'a str,
}

/// Why bytes did not open; the caller knows the path and adds it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Malformed,
    WrongKind,
    Denied,
}

impl Kdf<'static> {
    const fn new(hardness: Hardness) -> Self {
        let (memory_kib, passes) = match hardness {
            Hardness::Standard => (STANDARD_MEMORY_KIB, STANDARD_PASSES),
            Hardness::Testing => (Params::MIN_M_COST, Params::MIN_T_COST),
        };
        Self { name: KDF, memory_kib, passes, lanes: 1 }
    }
}

impl Kdf<'_> {
    /// `None` for parameters Argon2 refuses.
    fn derive(&self, passphrase: &Passphrase, salt: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok()?;
        let mut key = Zeroizing::new([0; 32]);
        Argon2::new(Algorithm::Argon2id, argon2::Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
            .ok()?;
        Some(key)
    }

    fn is_bearable(&self) -> bool {
        self.name == KDF && self.memory_kib <= MAX_MEMORY_KIB && self.passes <= MAX_PASSES && self.lanes <= MAX_LANES
    }
}

/// The bytes of a new key file, `None` when memory for the derivation is lacking.
pub(crate) fn seal(
    kind: Kind,
    secret: &[u8],
    passphrase: &Passphrase,
    hardness: Hardness,
    rng: &mut impl CryptoRngCore,
) -> Option<Vec<u8>> {
    let (mut salt, mut nonce) = ([0; 16], [0; 24]);
    rng.fill_bytes(&mut salt);
    rng.fill_bytes(&mut nonce);
    let kdf = Kdf::new(hardness);
    let key = kdf.derive(passphrase, &salt)?;
    let salt = STANDARD.encode(salt);
    let aad = associated(&Associated { version: VERSION, kind: kind.as_str(), kdf, salt: &salt })?;
    let ciphertext = XChaCha20Poly1305::new(Key::from_slice(&*key))
        .encrypt(XNonce::from_slice(&nonce), Payload { msg: secret, aad: &aad })
        .ok()?;
    let sealed = Sealed {
        version: VERSION,
        kind: kind.as_str(),
        kdf,
        salt,
        nonce: STANDARD.encode(nonce),
        ciphertext: STANDARD.encode(ciphertext),
    };
    let mut bytes = serde_json::to_vec_pretty(&sealed).ok()?;
    bytes.push(b'\n');
    Some(bytes)
}

/// The secret in a key file's bytes.
pub(crate) fn unseal(kind: Kind, bytes: &[u8], passphrase: &Passphrase) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let sealed: Sealed<'_> = serde_json::from_slice(bytes).map_err(|_| Failure::Malformed)?;
    if sealed.version != VERSION || !sealed.kdf.is_bearable() {
        return Err(Failure::Malformed);
    }
    if sealed.kind != kind.as_str() {
        return Err(Failure::WrongKind);
    }
    let salt: [u8; 16] = array(&sealed.salt)?;
    let nonce: [u8; 24] = array(&sealed.nonce)?;
    let ciphertext = STANDARD.decode(&sealed.ciphertext).map_err(|_| Failure::Malformed)?;
    let aad =
        associated(&Associated { version: sealed.version, kind: sealed.kind, kdf: sealed.kdf, salt: &sealed.salt })
            .ok_or(Failure::Malformed)?;
    let key = sealed.kdf.derive(passphrase, &salt).ok_or(Failure::Malformed)?;
    XChaCha20Poly1305::new(Key::from_slice(&*key))
        .decrypt(XNonce::from_slice(&nonce), Payload { msg: &ciphertext, aad: &aad })
        .map(Zeroizing::new)
        .map_err(|_| Failure::Denied)
}

fn associated(fields: &Associated<'_>) -> Option<Vec<u8>> {
    serde_json::to_vec(fields).ok()
}

fn array<const N: usize>(text: &str) -> Result<[u8; N], Failure> {
    STANDARD.decode(text).ok().and_then(|b| b.try_into().ok()).ok_or(Failure::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn words(text: &str) -> Passphrase {
        Passphrase::new(text.to_owned()).unwrap()
    }

    fn sealed() -> Vec<u8> {
        let mut rng = StdRng::seed_from_u64(1);
        seal(Kind::IDENTITY, b"secret", &words("right"), Hardness::Testing, &mut rng).unwrap()
    }

    fn changed(pointer: &str, value: serde_json::Value) -> Vec<u8> {
        let mut json: serde_json::Value = serde_json::from_slice(&sealed()).unwrap();
        *json.pointer_mut(pointer).unwrap() = value;
        serde_json::to_vec(&json).unwrap()
    }

    #[test]
    fn opens_with_the_right_passphrase_and_no_other() {
        assert_eq!(**unseal(Kind::IDENTITY, &sealed(), &words("right")).unwrap(), *b"secret");
        assert_eq!(unseal(Kind::IDENTITY, &sealed(), &words("wrong")).unwrap_err(), Failure::Denied);
        assert!(!sealed().windows(6).any(|w| w == b"secret"));
    }

    #[test]
    fn every_field_is_authenticated() {
        let wallet = changed("/kind", "gas-wallet".into());
        assert_eq!(unseal(Kind::GAS_WALLET, &wallet, &words("right")).unwrap_err(), Failure::Denied);
        assert_eq!(unseal(Kind::IDENTITY, &wallet, &words("right")).unwrap_err(), Failure::WrongKind);
        for (pointer, value) in [
            ("/kdf/passes", 2.into()),
            ("/salt", STANDARD.encode([9; 16]).into()),
            ("/nonce", STANDARD.encode([9; 24]).into()),
            ("/ciphertext", STANDARD.encode([9; 22]).into()),
            ("/ciphertext", "".into()),
        ] {
            assert_eq!(
                unseal(Kind::IDENTITY, &changed(pointer, value), &words("right")).unwrap_err(),
                Failure::Denied,
                "{pointer}"
            );
        }
    }

    #[test]
    fn unbearable_and_unknown_parameters_are_refused_before_any_work() {
        for (pointer, value) in [
            ("/version", 2.into()),
            ("/kdf/name", "scrypt".into()),
            ("/kdf/memory_kib", (MAX_MEMORY_KIB + 1).into()),
            ("/kdf/memory_kib", 0.into()),
            ("/kdf/passes", 4_000_000_000_u32.into()),
            ("/salt", "AAAA".into()),
            ("/nonce", "not base64".into()),
        ] {
            assert_eq!(
                unseal(Kind::IDENTITY, &changed(pointer, value), &words("right")).unwrap_err(),
                Failure::Malformed,
                "{pointer}"
            );
        }
        assert_eq!(unseal(Kind::IDENTITY, b"{}", &words("right")).unwrap_err(), Failure::Malformed);
    }

    #[test]
    fn the_standard_profile_is_the_recommended_one() {
        let mut rng = StdRng::seed_from_u64(2);
        let bytes = seal(Kind::IDENTITY, b"s", &words("p"), Hardness::Standard, &mut rng).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(json["kdf"]["memory_kib"], 65_536);
        assert_eq!(json["kdf"]["passes"], 3);
        assert_eq!(**unseal(Kind::IDENTITY, &bytes, &words("p")).unwrap(), *b"s");
    }
}
