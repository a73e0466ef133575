use std::fmt;

/// What a key file holds. Authenticated with the secret, so a file of one kind never opens as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Kind(&'static str);

impl Kind {
    /// The 32-byte Ed25519 seed of a node, person or installation.
    pub const IDENTITY: Self = Self("identity");
    /// The 32-byte secp256k1 scalar of a relayer's own account, which pays gas and nothing else.
    pub const GAS_WALLET: Self = Self("gas-wallet");
    /// A participant's key packages of one epoch.
    pub const FROST_SHARE: Self = Self("frost-share");

    /// A kind with its own name, which is part of the file and must never change.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name as it stands in the file.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}
