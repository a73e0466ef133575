//! Issuing tokens. Keys and nonces are arguments; the result is opened again before it is handed out, so what this
//! module issues is by construction what the openers accept.

use crate::envelope::{self, Kind};
use crate::{Command, Delegation, Error, Invocation, Policy, Verified, open_delegation, open_invocation};
use domain::{Cid, Did, Time};
use ed25519_dalek::SigningKey;
use ipld_core::ipld::Ipld;
use std::collections::BTreeMap;

/// What a delegation says; the issuer is the key that signs it.
#[derive(Clone, Debug)]
pub struct NewDelegation {
    /// Who receives the authority.
    pub audience: Did,
    /// Whose resource it is about; `None` makes a powerline.
    pub subject: Option<Did>,
    /// The command that is passed on, with everything below it.
    pub command: Command,
    /// What must hold for the arguments.
    pub policy: Policy,
    /// First moment of validity.
    pub not_before: Option<Time>,
    /// First moment of invalidity; `None` never expires.
    pub expiration: Option<Time>,
    /// Random bytes that make the token unique; 12 or more.
    pub nonce: Vec<u8>,
    /// Free-form facts without authority.
    pub meta: BTreeMap<String, Ipld>,
}

impl NewDelegation {
    /// A delegation of `command` on `subject` to `audience`, without policy and without end.
    pub fn new(audience: Did, subject: Did, command: Command, nonce: impl Into<Vec<u8>>) -> Self {
        Self {
            audience,
            subject: Some(subject),
            command,
            policy: Policy::empty(),
            not_before: None,
            expiration: None,
            nonce: nonce.into(),
            meta: BTreeMap::new(),
        }
    }
}

/// What an invocation says; the issuer is the key that signs it.
#[derive(Clone, Debug)]
pub struct NewInvocation {
    /// Who should act on it; `None` means the subject.
    pub audience: Option<Did>,
    /// On whose resource the command acts.
    pub subject: Did,
    /// The command.
    pub command: Command,
    /// The arguments.
    pub args: BTreeMap<String, Ipld>,
    /// The delegations that entitle the issuer, root first.
    pub proofs: Vec<Cid>,
    /// First moment of invalidity; `None` never expires.
    pub expiration: Option<Time>,
    /// When it was issued, if it should say so.
    pub issued_at: Option<Time>,
    /// The receipt or task that led to it.
    pub cause: Option<Cid>,
    /// Random bytes that make the token unique; 12 or more.
    pub nonce: Vec<u8>,
    /// Free-form facts without authority.
    pub meta: BTreeMap<String, Ipld>,
}

impl NewInvocation {
    /// An invocation of `command` on `subject` without arguments, proofs or end.
    pub fn new(subject: Did, command: Command, nonce: impl Into<Vec<u8>>) -> Self {
        Self {
            audience: None,
            subject,
            command,
            args: BTreeMap::new(),
            proofs: Vec::new(),
            expiration: None,
            issued_at: None,
            cause: None,
            nonce: nonce.into(),
            meta: BTreeMap::new(),
        }
    }
}

/// The DID of a signing key.
pub fn did_of(key: &SigningKey) -> Did {
    Did::from_key(key.verifying_key().to_bytes())
}

/// Signs a delegation.
pub fn delegate(key: &SigningKey, new: NewDelegation) -> Result<Verified<Delegation>, Error> {
    let mut payload = common(key, &new.command, new.expiration, new.nonce, new.meta);
    payload.insert("aud".to_owned(), Ipld::String(new.audience.to_string()));
    payload.insert("sub".to_owned(), new.subject.map_or(Ipld::Null, |subject| Ipld::String(subject.to_string())));
    payload.insert("pol".to_owned(), Ipld::List(new.policy.source().to_vec()));
    insert(&mut payload, "nbf", new.not_before.map(time));
    open_delegation(&envelope::seal(key, Kind::Delegation, payload)?)
}

/// Signs an invocation.
pub fn invoke(key: &SigningKey, new: NewInvocation) -> Result<Verified<Invocation>, Error> {
    let mut payload = common(key, &new.command, new.expiration, new.nonce, new.meta);
    insert(&mut payload, "aud", new.audience.map(|audience| Ipld::String(audience.to_string())));
    payload.insert("sub".to_owned(), Ipld::String(new.subject.to_string()));
    payload.insert("args".to_owned(), Ipld::Map(new.args));
    let proofs = new.proofs.into_iter().map(link).collect::<Result<_, _>>()?;
    payload.insert("prf".to_owned(), Ipld::List(proofs));
    insert(&mut payload, "iat", new.issued_at.map(time));
    insert(&mut payload, "cause", new.cause.map(link).transpose()?);
    open_invocation(&envelope::seal(key, Kind::Invocation, payload)?)
}

/// The IPLD link to a token.
pub fn link(cid: Cid) -> Result<Ipld, Error> {
    ipld_core::cid::Cid::try_from(cid.to_bytes()).map(Ipld::Link).map_err(|_| Error::Malformed("link"))
}

fn common(
    key: &SigningKey,
    command: &Command,
    expiration: Option<Time>,
    nonce: Vec<u8>,
    meta: BTreeMap<String, Ipld>,
) -> BTreeMap<String, Ipld> {
    let mut payload = BTreeMap::from([
        ("iss".to_owned(), Ipld::String(did_of(key).to_string())),
        ("cmd".to_owned(), Ipld::String(command.to_string())),
        ("exp".to_owned(), expiration.map_or(Ipld::Null, time)),
        ("nonce".to_owned(), Ipld::Bytes(nonce)),
    ]);
    insert(&mut payload, "meta", Some(meta).filter(|meta| !meta.is_empty()).map(Ipld::Map));
    payload
}

fn insert(payload: &mut BTreeMap<String, Ipld>, name: &str, value: Option<Ipld>) {
    if let Some(value) = value {
        payload.insert(name.to_owned(), value);
    }
}

fn time(time: Time) -> Ipld {
    Ipld::Integer(i128::from(time.unix()))
}
