use domain::{Did, Digest};
use ed25519_dalek::SigningKey;

/// The key that belongs to a name. For tests only: whoever knows the name has the key.
pub fn key(name: &str) -> SigningKey {
    SigningKey::from_bytes(Digest::sha256(name.as_bytes()).as_bytes())
}

/// Somebody with a key.
#[derive(Clone, Debug)]
pub struct Person {
    /// The key.
    pub key: SigningKey,
    /// Its DID.
    pub did: Did,
}

impl Person {
    /// The person of this name; the same name is the same key.
    pub fn named(name: &str) -> Self {
        let key = key(name);
        Self { did: Did::from_key(key.verifying_key().to_bytes()), key }
    }
}
