use std::fmt;

/// Why a token or a chain was refused. The first eight names are those of the official UCAN fixtures; all are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The signature does not verify under the issuer's key.
    InvalidSignature,
    /// `exp` has passed.
    Expired,
    /// `nbf` has not come.
    TooEarly,
    /// A token is addressed to, or issued by, another principal than the chain needs.
    InvalidAudience,
    /// The subject differs along the chain, is not trusted, or is absent where that is not allowed.
    InvalidSubject,
    /// A claim is absent or not what the specification demands.
    InvalidClaim,
    /// A proof that the invocation names was not given.
    UnavailableProof,
    /// A policy does not hold for the arguments.
    MatchError,
    /// A delegation, or a key that issued a token of the chain, was revoked.
    Revoked,
    /// A command is not the delegated one or below it.
    Command,
    /// The bytes are not a token or container.
    Malformed,
    /// The bytes are not the canonical DAG-CBOR of what they say.
    NonCanonical,
    /// A size, count or depth limit is exceeded.
    TooLarge,
}

impl ErrorClass {
    /// The stable name, as used in the official fixtures and in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidSignature => "InvalidSignature",
            Self::Expired => "Expired",
            Self::TooEarly => "TooEarly",
            Self::InvalidAudience => "InvalidAudience",
            Self::InvalidSubject => "InvalidSubject",
            Self::InvalidClaim => "InvalidClaim",
            Self::UnavailableProof => "UnavailableProof",
            Self::MatchError => "MatchError",
            Self::Revoked => "Revoked",
            Self::Command => "Command",
            Self::Malformed => "Malformed",
            Self::NonCanonical => "NonCanonical",
            Self::TooLarge => "TooLarge",
        }
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Bytes that are not an acceptable token, policy or container.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More bytes, items or levels than a limit allows; names the limit.
    #[error("too large: {0}")]
    TooLarge(&'static str),
    /// Not the structure of a token, policy or container; names the part.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// Decodes, but the bytes are not the canonical encoding: a second CID for the same content.
    #[error("not canonical DAG-CBOR")]
    NonCanonical,
    /// A field is absent or has a value outside its domain; names the field.
    #[error("invalid claim: {0}")]
    InvalidClaim(&'static str),
    /// A field that no token has, and that could restrict what this one means; its name, cut to 64 characters.
    #[error("invalid claim: unknown field {0:?}")]
    UnknownField(String),
    /// The signature does not verify strictly under the issuer's key.
    #[error("signature does not verify")]
    InvalidSignature,
    /// The issuer's key is not a canonical curve point of full order, so it proves nothing.
    #[error("issuer key is weak or not a canonical curve point")]
    WeakKey,
}

impl Error {
    /// The stable class of this error.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::TooLarge(_) => ErrorClass::TooLarge,
            Self::Malformed(_) => ErrorClass::Malformed,
            Self::NonCanonical => ErrorClass::NonCanonical,
            Self::InvalidClaim(_) | Self::UnknownField(_) => ErrorClass::InvalidClaim,
            Self::InvalidSignature | Self::WeakKey => ErrorClass::InvalidSignature,
        }
    }
}
