use serde::{Deserialize, Serialize, Serializer};
use std::{fmt, str::FromStr};

/// An EIP-155 chain id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChainId(pub u64);

/// A 20-byte EVM address, written `0x` and 40 lower-case hex digits: one address has one spelling, so that two
/// recipients are the same exactly when their texts are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Address(pub [u8; 20]);

/// An account: CAIP-10 in the `eip155` namespace, such as `eip155:1:0xab…`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct AccountId {
    /// The chain that the account lives on.
    pub chain: ChainId,
    /// The account's address there.
    pub address: Address,
}

/// What kind of asset it is on its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AssetKind {
    /// The chain's native coin (`slip44:60`).
    Native,
    /// An ERC-20 token at this address, never the zero address: that names the native coin in the contract, and one
    /// asset under two names would have two sets of limits.
    Erc20(Address),
}

/// An asset: CAIP-19 in the `eip155` namespace, `eip155:1/erc20:0xab…` or `eip155:1/slip44:60`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct AssetId {
    /// The chain that the asset lives on.
    pub chain: ChainId,
    /// Native coin or token.
    pub kind: AssetKind,
}

/// A text is not an address, CAIP-10 account or CAIP-19 asset that the system accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseAccountError {
    /// Not an address.
    #[error("expected an address: 0x and 40 lower-case hex digits")]
    Address,
    /// Not a CAIP-10 account.
    #[error("expected a CAIP-10 account such as eip155:1:0x… in lower case")]
    Account,
    /// Not a CAIP-19 asset.
    #[error("expected a CAIP-19 asset such as eip155:1/erc20:0x… or eip155:1/slip44:60 in lower case")]
    Asset,
}

impl Address {
    /// Nobody's address. Among assets it is the escrow contract's name of the native coin.
    pub const ZERO: Self = Self([0; 20]);
}

impl AssetId {
    /// The asset's address as the escrow contract names it: the token, or the zero address for the native coin.
    pub const fn address(&self) -> Address {
        match self.kind {
            AssetKind::Native => Address::ZERO,
            AssetKind::Erc20(token) => token,
        }
    }
}

fn chain(text: &str) -> Option<ChainId> {
    let digits = text.strip_prefix("eip155:")?;
    let id: u64 = digits.parse().ok()?;
    (id > 0 && id.to_string() == digits).then_some(ChainId(id))
}

impl FromStr for Address {
    type Err = ParseAccountError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let hex = s.strip_prefix("0x").ok_or(ParseAccountError::Address)?;
        let bytes = data_encoding::HEXLOWER.decode(hex.as_bytes()).map_err(|_| ParseAccountError::Address)?;
        bytes.try_into().map(Self).map_err(|_| ParseAccountError::Address)
    }
}

impl FromStr for AccountId {
    type Err = ParseAccountError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (chain_text, address) = s.rsplit_once(':').ok_or(ParseAccountError::Account)?;
        let chain = chain(chain_text).ok_or(ParseAccountError::Account)?;
        Ok(Self { chain, address: address.parse().map_err(|_| ParseAccountError::Account)? })
    }
}

impl FromStr for AssetId {
    type Err = ParseAccountError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (chain_text, asset) = s.split_once('/').ok_or(ParseAccountError::Asset)?;
        let chain = chain(chain_text).ok_or(ParseAccountError::Asset)?;
        if asset == "slip44:60" {
            return Ok(Self { chain, kind: AssetKind::Native });
        }
        let token = asset.strip_prefix("erc20:").and_then(|t| t.parse().ok()).filter(|t| *t != Address::ZERO);
        Ok(Self { chain, kind: AssetKind::Erc20(token.ok_or(ParseAccountError::Asset)?) })
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "eip155:{}", self.0)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0x")?;
        f.write_str(data_encoding::HEXLOWER.encode_mut_str(&self.0, &mut [0; 40]))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chain.fmt(f)?;
        f.write_str(":")?;
        self.address.fmt(f)
    }
}

impl fmt::Display for AssetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.chain.fmt(f)?;
        match self.kind {
            AssetKind::Native => f.write_str("/slip44:60"),
            AssetKind::Erc20(token) => {
                f.write_str("/erc20:")?;
                token.fmt(f)
            }
        }
    }
}

macro_rules! text_form {
    ($($ty:ty),*) => {$(
        impl fmt::Debug for $ty {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl Serialize for $ty {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl TryFrom<String> for $ty {
            type Error = ParseAccountError;
            fn try_from(s: String) -> Result<Self, Self::Error> {
                s.parse()
            }
        }
        impl From<$ty> for String {
            fn from(v: $ty) -> Self {
                v.to_string()
            }
        }
    )*};
}
text_form!(Address, AccountId, AssetId);
