use crate::Person;
use domain::{Cid, Did, Time};
use ipld_core::ipld::Ipld;
use ledger::Statement;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};
use ucan::{Command, Delegation, Invocation, Verified, container, issue};

/// An invocation with the delegations that it names.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The invocation.
    pub invocation: Verified<Invocation>,
    /// The delegations, root first.
    pub proofs: Vec<Verified<Delegation>>,
}

impl Signed {
    /// The invocation's CID.
    pub fn cid(&self) -> Cid {
        self.invocation.cid()
    }

    /// The tokens' bytes, the invocation first.
    pub fn tokens(&self) -> Vec<Vec<u8>> {
        let proofs = self.proofs.iter().map(|p| p.bytes().to_vec());
        std::iter::once(self.invocation.bytes().to_vec()).chain(proofs).collect()
    }

    /// A raw container with everything.
    pub fn container(&self) -> Vec<u8> {
        container::encode(container::Encoding::Raw, &self.tokens()).expect("tokens encode")
    }

    /// A raw container with the invocation alone.
    pub fn without_proofs(&self) -> Vec<u8> {
        container::encode(container::Encoding::Raw, &[self.invocation.bytes()]).expect("tokens encode")
    }

    /// A container as text, as in an `Authorization: Bearer` header.
    pub fn text(&self) -> String {
        let bytes = container::encode(container::Encoding::Base64Url, &self.tokens()).expect("tokens encode");
        String::from_utf8(bytes).expect("base64url is text")
    }

    /// The statement that it makes.
    pub fn statement(&self) -> Statement {
        Statement::parse(self.invocation.clone(), self.proofs.clone()).expect("a well-formed statement")
    }
}

/// An operator, a control plane, one tenant with its people, a publisher with a plugin, an installation of it.
#[derive(Debug)]
pub struct World {
    /// The root of the log's authority.
    pub operator: Person,
    /// The control plane's key.
    pub sequencer: Person,
    /// The control plane's second key, which passes grants on.
    pub issuer: Person,
    /// The tenant's root.
    pub tenant: Person,
    /// Grants, suspends, revokes, freezes.
    pub admin: Person,
    /// Opens and closes orders.
    pub market: Person,
    /// Verifies recipients.
    pub provider: Person,
    /// Approves.
    pub approvers: Vec<Person>,
    /// Publishes the plugin.
    pub publisher: Person,
    /// The installed plugin's key.
    pub installation: Person,
    /// Reports on executions.
    pub relayer: Person,
    /// What the world's clock says; statements expire some minutes later.
    pub now: Time,
    nonce: AtomicU64,
}

/// For how long the world's statements are valid.
const LIFETIME: u64 = 600;

impl World {
    /// The world at this moment.
    pub fn new(now: Time) -> Self {
        Self {
            operator: Person::named("operator"),
            sequencer: Person::named("sequencer"),
            issuer: Person::named("issuer"),
            tenant: Person::named("tenant"),
            admin: Person::named("admin"),
            market: Person::named("market"),
            provider: Person::named("provider"),
            approvers: ["ada", "bob", "cyd"].map(Person::named).to_vec(),
            publisher: Person::named("publisher"),
            installation: Person::named("installation"),
            relayer: Person::named("relayer"),
            now,
            nonce: AtomicU64::new(0),
        }
    }

    fn nonce(&self) -> Vec<u8> {
        let count = self.nonce.fetch_add(1, Ordering::Relaxed);
        [&[0; 8][..], &count.to_be_bytes()].concat()
    }

    /// A delegation that never expires.
    pub fn delegate(&self, issuer: &Person, audience: Did, subject: Did, command: &str) -> Verified<Delegation> {
        self.delegate_until(issuer, audience, subject, command, None)
    }

    /// A delegation that ends.
    pub fn delegate_until(
        &self,
        issuer: &Person,
        audience: Did,
        subject: Did,
        command: &str,
        expiration: Option<Time>,
    ) -> Verified<Delegation> {
        let mut new = issue::NewDelegation::new(audience, subject, command_of(command), self.nonce());
        new.expiration = expiration;
        issue::delegate(&issuer.key, new).expect("a delegation")
    }

    /// An invocation, addressed to the control plane and valid for ten minutes.
    pub fn invoke(
        &self,
        issuer: &Person,
        subject: Did,
        command: &str,
        args: &impl serde::Serialize,
        proofs: Vec<Verified<Delegation>>,
    ) -> Signed {
        self.invoke_with(issuer, subject, command, args, proofs, |_| {})
    }

    /// An invocation with something changed before it is signed.
    pub fn invoke_with(
        &self,
        issuer: &Person,
        subject: Did,
        command: &str,
        args: &impl serde::Serialize,
        proofs: Vec<Verified<Delegation>>,
        change: impl FnOnce(&mut issue::NewInvocation),
    ) -> Signed {
        let mut new = issue::NewInvocation::new(subject, command_of(command), self.nonce());
        new.audience = Some(self.sequencer.did);
        new.args = map(args);
        new.proofs = proofs.iter().map(|p| p.cid()).collect();
        new.expiration = Some(self.now.plus(LIFETIME));
        change(&mut new);
        Signed { invocation: issue::invoke(&issuer.key, new).expect("an invocation"), proofs }
    }

    /// A read capability: of the tenant when `subject` is it, of the operator otherwise; used by the root itself.
    pub fn reader(&self, subject: &Person, command: &str) -> Signed {
        self.invoke(subject, subject.did, command, &BTreeMap::<String, u8>::new(), Vec::new())
    }
}

fn command_of(text: &str) -> Command {
    text.parse().expect("a command")
}

fn map(args: &impl serde::Serialize) -> BTreeMap<String, Ipld> {
    match ipld_core::serde::to_ipld(args).expect("args are plain data") {
        Ipld::Map(map) => map,
        other => panic!("args are a map, not {other:?}"),
    }
}
