use crate::envelope::{self, Envelope, Kind, Version};
use crate::{Command, Error, Policy};
use domain::{Cid, Did, Time};
use ipld_core::ipld::Ipld;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

/// Most proofs one invocation may name: the longest real chain is four hops.
pub const MAX_PROOFS: usize = 8;
/// Longest nonce in bytes; 12 random bytes already make invocations unique.
pub const MAX_NONCE_BYTES: usize = 64;
/// Characters of an unknown field's name that are told: whoever wrote it recognises it by these.
const MAX_SHOWN: usize = 64;
/// Largest timestamp of UCAN 1.0: integers are limited to 53 bits.
const MAX_TIME: i128 = (1 << 53) - 1;

/// A token whose signature verified, with the bytes it was opened from. Cheap to clone.
#[derive(Debug)]
pub struct Verified<T>(Arc<T>);

impl<T> Clone for Verified<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: PartialEq> PartialEq for Verified<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// A token that is canonical and well-formed, and whose signature nobody has looked at: what it says may be anybody's
/// word. It serves to refuse cheaply, and to be verified.
#[derive(Debug)]
pub struct Unverified<T>(Arc<T>);

impl<T> Clone for Unverified<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Unverified<T> {
    /// What the token claims. Fit to refuse by, never to act on.
    pub fn claims(&self) -> &T {
        &self.0
    }
}

/// A token of either kind before its signature is checked.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// A delegation.
    Delegation(Unverified<Delegation>),
    /// An invocation.
    Invocation(Unverified<Invocation>),
}

/// What delegations and invocations share.
#[derive(Clone, Debug, PartialEq)]
struct Common {
    cid: Cid,
    bytes: Vec<u8>,
    version: Version,
    issuer: Did,
    command: Command,
    nonce: Vec<u8>,
    meta: BTreeMap<String, Ipld>,
    not_before: Option<Time>,
    expiration: Option<Time>,
}

/// A UCAN delegation: its issuer lets its audience use a command on a subject, under a policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Delegation {
    common: Common,
    audience: Did,
    subject: Option<Did>,
    policy: Policy,
}

/// A UCAN invocation: its issuer says that a command be done on a subject, and names the delegations that entitle it.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    common: Common,
    audience: Option<Did>,
    subject: Did,
    args: Ipld,
    proofs: Vec<Cid>,
    issued_at: Option<Time>,
    cause: Option<Cid>,
}

/// A token of either kind.
#[derive(Clone, Debug)]
pub enum Token {
    /// A delegation.
    Delegation(Verified<Delegation>),
    /// An invocation.
    Invocation(Verified<Invocation>),
}

macro_rules! common_getters {
    ($type:ty) => {
        impl $type {
            /// CIDv1 of the envelope bytes, computed here.
            pub const fn cid(&self) -> Cid {
                self.common.cid
            }

            /// The envelope as received.
            pub fn bytes(&self) -> &[u8] {
                &self.common.bytes
            }

            /// The version in the payload tag.
            pub const fn version(&self) -> Version {
                self.common.version
            }

            /// Who signed.
            pub const fn issuer(&self) -> Did {
                self.common.issuer
            }

            /// The command.
            pub const fn command(&self) -> &Command {
                &self.common.command
            }

            /// The nonce; any length up to [`MAX_NONCE_BYTES`], zero included.
            pub fn nonce(&self) -> &[u8] {
                &self.common.nonce
            }

            /// Free-form facts; they carry no authority.
            pub const fn meta(&self) -> &BTreeMap<String, Ipld> {
                &self.common.meta
            }

            /// First moment of validity, if bounded.
            pub const fn not_before(&self) -> Option<Time> {
                self.common.not_before
            }

            /// First moment at which the token is no longer valid; `None` when the token says `null`.
            pub const fn expiration(&self) -> Option<Time> {
                self.common.expiration
            }
        }

        impl Unverified<$type> {
            /// Checks the signature.
            pub fn verify(&self) -> Result<Verified<$type>, Error> {
                self.check()?;
                Ok(Verified(Arc::clone(&self.0)))
            }

            pub(crate) fn check(&self) -> Result<(), Error> {
                envelope::verify(&self.0.common.bytes, &self.0.common.issuer)
            }
        }
    };
}

common_getters!(Delegation);
common_getters!(Invocation);

impl Delegation {
    /// Who receives the authority.
    pub const fn audience(&self) -> Did {
        self.audience
    }

    /// Whose resource it is about; `None` is a powerline, which stands for the subject of the rest of the chain.
    pub const fn subject(&self) -> Option<Did> {
        self.subject
    }

    /// The statements that the arguments of an invocation must fulfil.
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    fn from_envelope(bytes: &[u8], envelope: Envelope) -> Result<Self, Error> {
        let mut fields = Fields(envelope.payload);
        let delegation = Self {
            common: fields.common(bytes, envelope.version)?,
            audience: fields.did("aud")?.ok_or(Error::InvalidClaim("aud"))?,
            subject: match fields.0.remove("sub") {
                Some(Ipld::Null) => None,
                Some(Ipld::String(text)) => Some(text.parse().map_err(|_| Error::InvalidClaim("sub"))?),
                _ => return Err(Error::InvalidClaim("sub")),
            },
            policy: fields.0.remove("pol").ok_or(Error::InvalidClaim("pol"))?.try_into()?,
        };
        fields.end()?;
        Ok(delegation)
    }
}

impl Invocation {
    /// Who should act on it; when absent, the subject.
    pub const fn audience(&self) -> Option<Did> {
        self.audience
    }

    /// On whose resource the command acts.
    pub const fn subject(&self) -> Did {
        self.subject
    }

    /// The arguments, always a map.
    pub const fn args(&self) -> &Ipld {
        &self.args
    }

    /// The delegations that entitle the issuer, in the order given.
    pub fn proofs(&self) -> &[Cid] {
        &self.proofs
    }

    /// When the issuer claims to have issued it.
    pub const fn issued_at(&self) -> Option<Time> {
        self.issued_at
    }

    /// The receipt or task that led to it.
    pub const fn cause(&self) -> Option<Cid> {
        self.cause
    }

    fn from_envelope(bytes: &[u8], envelope: Envelope) -> Result<Self, Error> {
        let mut fields = Fields(envelope.payload);
        let invocation = Self {
            common: fields.common(bytes, envelope.version)?,
            audience: fields.did("aud")?,
            subject: fields.did("sub")?.ok_or(Error::InvalidClaim("sub"))?,
            args: fields.0.remove("args").filter(|a| matches!(a, Ipld::Map(_))).ok_or(Error::InvalidClaim("args"))?,
            proofs: fields.proofs()?,
            issued_at: fields.time("iat")?,
            cause: fields
                .0
                .remove("cause")
                .map(|link| cid_of(&link).ok_or(Error::InvalidClaim("cause")))
                .transpose()?,
        };
        fields.end()?;
        Ok(invocation)
    }
}

/// Reads a token of either kind, as its tag says: canonical bytes and every field, but not the signature.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Error> {
    let envelope = Envelope::parse(bytes)?;
    Ok(match envelope.kind {
        Kind::Delegation => Parsed::Delegation(Unverified(Arc::new(Delegation::from_envelope(bytes, envelope)?))),
        Kind::Invocation => Parsed::Invocation(Unverified(Arc::new(Invocation::from_envelope(bytes, envelope)?))),
    })
}

/// Opens a delegation: canonical bytes, every field, then the signature.
pub fn open_delegation(bytes: &[u8]) -> Result<Verified<Delegation>, Error> {
    match parse(bytes)? {
        Parsed::Delegation(delegation) => delegation.verify(),
        Parsed::Invocation(_) => Err(Error::Malformed("token is not a delegation")),
    }
}

/// Opens an invocation: canonical bytes, every field, then the signature.
pub fn open_invocation(bytes: &[u8]) -> Result<Verified<Invocation>, Error> {
    match parse(bytes)? {
        Parsed::Invocation(invocation) => invocation.verify(),
        Parsed::Delegation(_) => Err(Error::Malformed("token is not an invocation")),
    }
}

/// Opens a token of either kind, as its tag says.
pub fn open(bytes: &[u8]) -> Result<Token, Error> {
    Ok(match parse(bytes)? {
        Parsed::Delegation(delegation) => Token::Delegation(delegation.verify()?),
        Parsed::Invocation(invocation) => Token::Invocation(invocation.verify()?),
    })
}

/// The fields of a payload that have not been consumed yet.
struct Fields(BTreeMap<String, Ipld>);

impl Fields {
    fn common(&mut self, bytes: &[u8], version: Version) -> Result<Common, Error> {
        let command = match self.0.remove("cmd") {
            Some(Ipld::String(text)) => text.parse().map_err(|_| Error::InvalidClaim("cmd"))?,
            _ => return Err(Error::InvalidClaim("cmd")),
        };
        let nonce = match self.0.remove("nonce") {
            Some(Ipld::Bytes(nonce)) if nonce.len() > MAX_NONCE_BYTES => return Err(Error::TooLarge("nonce")),
            Some(Ipld::Bytes(nonce)) => nonce,
            _ => return Err(Error::InvalidClaim("nonce")),
        };
        let meta = match self.0.remove("meta") {
            Some(Ipld::Map(meta)) => meta,
            None => BTreeMap::new(),
            _ => return Err(Error::InvalidClaim("meta")),
        };
        // `exp` must be present; only an explicit null means "never".
        let expiration = match self.0.remove("exp") {
            Some(Ipld::Null) => None,
            Some(value) => Some(time_of(&value).ok_or(Error::InvalidClaim("exp"))?),
            None => return Err(Error::InvalidClaim("exp")),
        };
        Ok(Common {
            cid: Cid::of(bytes),
            bytes: bytes.to_vec(),
            version,
            issuer: self.did("iss")?.ok_or(Error::InvalidClaim("iss"))?,
            command,
            nonce,
            meta,
            not_before: self.time("nbf")?,
            expiration,
        })
    }

    fn did(&mut self, name: &'static str) -> Result<Option<Did>, Error> {
        match self.0.remove(name) {
            Some(Ipld::String(text)) => text.parse().map(Some).map_err(|_| Error::InvalidClaim(name)),
            None => Ok(None),
            _ => Err(Error::InvalidClaim(name)),
        }
    }

    fn time(&mut self, name: &'static str) -> Result<Option<Time>, Error> {
        self.0.remove(name).map(|value| time_of(&value).ok_or(Error::InvalidClaim(name))).transpose()
    }

    fn proofs(&mut self) -> Result<Vec<Cid>, Error> {
        match self.0.remove("prf") {
            Some(Ipld::List(links)) if links.len() > MAX_PROOFS => Err(Error::TooLarge("proofs")),
            Some(Ipld::List(links)) => {
                links.iter().map(|link| cid_of(link).ok_or(Error::InvalidClaim("prf"))).collect()
            }
            _ => Err(Error::InvalidClaim("prf")),
        }
    }

    /// A field that is not understood could restrict what the token means, so it is refused.
    fn end(self) -> Result<(), Error> {
        match self.0.into_keys().next() {
            Some(name) => Err(Error::UnknownField(name.chars().take(MAX_SHOWN).collect())),
            None => Ok(()),
        }
    }
}

fn time_of(value: &Ipld) -> Option<Time> {
    match value {
        Ipld::Integer(n) if *n <= MAX_TIME => u64::try_from(*n).ok().map(Time::from_unix),
        _ => None,
    }
}

fn cid_of(value: &Ipld) -> Option<Cid> {
    match value {
        Ipld::Link(link) => Cid::from_bytes(&link.to_bytes()).ok(),
        _ => None,
    }
}
