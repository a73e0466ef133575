use crate::{CreateError, Hardness, Kind, OpenError, Passphrase};
use domain::Did;
use ed25519_dalek::SigningKey;
use rand_core::CryptoRngCore;
use std::{fmt, path::Path};
use zeroize::Zeroizing;

/// An Ed25519 key and the DID it answers to. The key is wiped when dropped.
#[derive(Clone)]
pub struct Identity {
    key: SigningKey,
    did: Did,
}

impl Identity {
    /// The identity of a signing key.
    pub fn from_key(key: SigningKey) -> Self {
        let did = Did::from_key(key.verifying_key().to_bytes());
        Self { key, did }
    }

    /// A new identity from fresh randomness.
    pub fn generate(rng: &mut impl CryptoRngCore) -> Self {
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);
        Self::from_key(SigningKey::from_bytes(&seed))
    }

    /// Writes the identity to a new key file of kind [`Kind::IDENTITY`].
    pub fn save(
        &self,
        hardness: Hardness,
        path: &Path,
        passphrase: &Passphrase,
        rng: &mut impl CryptoRngCore,
    ) -> Result<(), CreateError> {
        let seed = Zeroizing::new(self.key.to_bytes());
        crate::create_with(hardness, path, passphrase, Kind::IDENTITY, &*seed, rng)
    }

    /// Opens a key file of kind [`Kind::IDENTITY`].
    pub fn open(path: &Path, passphrase: &Passphrase) -> Result<Self, OpenError> {
        let secret = crate::open(path, passphrase, Kind::IDENTITY)?;
        let seed: Zeroizing<[u8; 32]> =
            Zeroizing::new(secret.as_slice().try_into().map_err(|_| OpenError::Malformed { path: path.to_owned() })?);
        Ok(Self::from_key(SigningKey::from_bytes(&seed)))
    }

    /// Whose key it is.
    pub const fn did(&self) -> Did {
        self.did
    }

    /// The key, to sign with.
    pub const fn key(&self) -> &SigningKey {
        &self.key
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.did).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn an_identity_survives_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        let words = Passphrase::new("w".into()).unwrap();
        let mut rng = StdRng::seed_from_u64(3);
        let identity = Identity::generate(&mut rng);
        identity.save(Hardness::Testing, &path, &words, &mut rng).unwrap();
        assert_eq!(Identity::open(&path, &words).unwrap().did(), identity.did());
        let shown = format!("{identity:?}");
        assert_eq!(shown, format!("Identity({})", identity.did()));
    }

    #[test]
    fn a_secret_of_another_length_is_no_identity() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("id");
        let words = Passphrase::new("w".into()).unwrap();
        let mut rng = StdRng::seed_from_u64(4);
        crate::create_with(Hardness::Testing, &path, &words, Kind::IDENTITY, &[1; 31], &mut rng).unwrap();
        assert!(matches!(Identity::open(&path, &words), Err(OpenError::Malformed { .. })));
    }
}
