use crate::encoding;
use std::fmt;
use zeroize::Zeroizing;

/// The only layout of packed packages there has been.
const VERSION: u8 = 1;

/// One participant's first-round packages of both suites, as broadcast: frost-core's serialisations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packages {
    /// The package of FROST(secp256k1, SHA-256).
    pub secp256k1: Vec<u8>,
    /// The package of FROST(Ed25519, SHA-512).
    pub ed25519: Vec<u8>,
}

/// The second-round packages of both suites from one participant to one other: secret, to be sealed to the recipient.
/// Erased when dropped.
pub struct SecretPackages {
    pub(crate) secp256k1: Zeroizing<Vec<u8>>,
    pub(crate) ed25519: Zeroizing<Vec<u8>>,
}

impl SecretPackages {
    /// The plaintext to seal: version byte 1, then the secp256k1 and the Ed25519 package, each after its length as
    /// four big-endian bytes.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        encoding::pack(VERSION, &[&self.secp256k1, &self.ed25519])
    }

    /// Parses [`Self::to_bytes`]; `None` for any other bytes. What the packages hold is checked when they are used.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let [secp256k1, ed25519] = encoding::unpack(VERSION, bytes)?;
        Some(Self { secp256k1: Zeroizing::new(secp256k1.to_vec()), ed25519: Zeroizing::new(ed25519.to_vec()) })
    }
}

impl fmt::Debug for SecretPackages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretPackages").finish_non_exhaustive()
    }
}
