use crate::{Ambient, Delegations};
use domain::{Cid, Did, Time};
use ipld_core::{ipld::Ipld, serde::to_ipld};
use keyfile::Identity;
use serde::Serialize;
use std::{fmt, sync::Arc};
use ucan::{
    Command, Delegation, Verified,
    container::{self, Encoding},
    issue::{NewInvocation, invoke},
};

/// Long enough to be sent again after an outage of some minutes, short enough for what moves money.
const STATEMENT_LIFETIME: u64 = 600;

/// Who speaks: an identity, the delegations it was given, and whom its statements are for.
#[derive(Clone)]
pub struct Speaker {
    identity: Identity,
    delegations: Arc<Delegations>,
    sequencer: Did,
    ambient: Ambient,
}

/// A signed invocation with its chain, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// CID of the invocation, the same however often it is sent.
    pub id: Cid,
    /// The UCAN container, in text form.
    pub container: Vec<u8>,
    /// First moment at which it is no longer valid.
    pub expires_at: Time,
}

/// Who lacks which delegation.
#[derive(Debug, thiserror::Error)]
#[error("{audience} holds no delegation of {command} by {subject}")]
pub struct NoDelegation {
    /// Who wants to speak.
    pub audience: Did,
    /// What it wants to say.
    pub command: Command,
    /// In whose realm.
    pub subject: Did,
}

/// A statement could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SpeakError {
    /// No chain of delegations leads from the subject to this identity.
    #[error(transparent)]
    NoDelegation(Box<NoDelegation>),
    /// Not a command.
    #[error("not a command: {0}")]
    Command(String),
    /// The args are not a map of IPLD values.
    #[error("the args cannot be written: {0}")]
    Args(String),
    /// The token could not be made.
    #[error("the token cannot be made")]
    Token(#[source] ucan::Error),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    Entropy,
}

impl Speaker {
    /// Speaks as `identity` to the control plane whose sequencer key is `sequencer`.
    pub fn new(identity: Identity, delegations: Delegations, sequencer: Did, ambient: Ambient) -> Self {
        Self { identity, delegations: Arc::new(delegations), sequencer, ambient }
    }

    /// Who speaks.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Where time and randomness come from.
    pub const fn ambient(&self) -> &Ambient {
        &self.ambient
    }

    /// Whether a statement of this command could be made now.
    pub fn may(&self, command: &str, subject: Did) -> bool {
        command.parse().is_ok_and(|command| self.chain(&command, subject).is_ok())
    }

    /// A statement of `command` in the realm of `subject`, by the chain among the given delegations.
    pub fn say<A: Serialize>(&self, command: &str, subject: Did, args: &A) -> Result<Statement, SpeakError> {
        self.say_for(STATEMENT_LIFETIME, command, subject, args)
    }

    /// As [`Speaker::say`], valid for `lifetime` seconds.
    pub fn say_for<A: Serialize>(
        &self,
        lifetime: u64,
        command: &str,
        subject: Did,
        args: &A,
    ) -> Result<Statement, SpeakError> {
        let command: Command = command.parse().map_err(|_| SpeakError::Command(command.to_owned()))?;
        let chain = self.chain(&command, subject)?;
        self.say_with(lifetime, Encoding::Base64, command, subject, args, &chain)
    }

    pub(crate) fn say_with<A: Serialize>(
        &self,
        lifetime: u64,
        encoding: Encoding,
        command: Command,
        subject: Did,
        args: &A,
        chain: &[Verified<Delegation>],
    ) -> Result<Statement, SpeakError> {
        let now = self.ambient.now();
        let nonce: [u8; 16] = self.ambient.random().ok_or(SpeakError::Entropy)?;
        let mut new = NewInvocation::new(subject, command, nonce);
        new.args = match to_ipld(args).map_err(|e| SpeakError::Args(e.to_string()))? {
            Ipld::Map(args) => args,
            _ => return Err(SpeakError::Args("not a map".to_owned())),
        };
        let expires_at = now.plus(lifetime);
        new.audience = Some(self.sequencer);
        new.proofs = chain.iter().map(|d| d.cid()).collect();
        new.expiration = Some(expires_at);
        new.issued_at = Some(now);
        let token = invoke(self.identity.key(), new).map_err(SpeakError::Token)?;
        let mut tokens = vec![token.bytes()];
        tokens.extend(chain.iter().map(|d| d.bytes()));
        let container = container::encode(encoding, &tokens).map_err(SpeakError::Token)?;
        Ok(Statement { id: token.cid(), container, expires_at })
    }

    pub(crate) fn chain(&self, command: &Command, subject: Did) -> Result<Vec<Verified<Delegation>>, SpeakError> {
        let audience = self.identity.did();
        let chain = self.delegations.chain(audience, command, subject, self.ambient.now());
        chain.ok_or_else(|| {
            SpeakError::NoDelegation(Box::new(NoDelegation { audience, command: command.clone(), subject }))
        })
    }
}

impl fmt::Debug for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Speaker").field(&self.identity.did()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use ucan::{Context, Limits, Token, Trust, authorise, issue::NewDelegation};

    #[derive(Serialize)]
    struct Args {
        block: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    }

    fn identity(seed: u8) -> Identity {
        Identity::from_key(SigningKey::from_bytes(&[seed; 32]))
    }

    #[test]
    fn what_is_said_carries_its_authority() {
        let (tenant, relayer, plane) = (identity(1), identity(2), identity(3));
        let command = "/execution".parse().unwrap();
        let new = NewDelegation::new(relayer.did(), tenant.did(), command, [7; 12]);
        let mut delegations = Delegations::default();
        delegations.add(ucan::issue::delegate(tenant.key(), new).unwrap());
        let ambient = Ambient::new(
            || Time::from_unix(1_000),
            |b| {
                b.fill(9);
                true
            },
        );
        let speaker = Speaker::new(relayer, delegations, plane.did(), ambient);
        let said = speaker.say("/execution/included", tenant.did(), &Args { block: 5, reason: None }).unwrap();

        let (mut invocation, mut proofs) = (None, Vec::new());
        for token in container::decode(&said.container, &Limits::default()).unwrap() {
            match ucan::open(&token).unwrap() {
                Token::Invocation(i) => invocation = Some(i),
                Token::Delegation(d) => proofs.push(d),
            }
        }
        let invocation = invocation.unwrap();
        assert_eq!(invocation.cid(), said.id);
        assert_eq!(invocation.args(), &Ipld::Map([("block".to_owned(), Ipld::Integer(5))].into()));
        let trusted = [tenant.did()];
        let mut context = Context::new(Time::from_unix(1_001), Trust::Only(&trusted));
        context.audience = Some(plane.did());
        let find = |cid: &Cid| proofs.iter().find(|p| p.cid() == *cid).cloned();
        assert!(authorise(&invocation, &find, &context).is_ok());

        assert!(speaker.may("/execution/reverted", tenant.did()));
        let refused = speaker.say("/freeze/set", tenant.did(), &Args { block: 1, reason: None });
        assert!(matches!(refused, Err(SpeakError::NoDelegation(_))));
    }

    #[test]
    fn without_randomness_nothing_is_said() {
        let tenant = identity(1);
        let did = tenant.did();
        let ambient = Ambient::new(|| Time::ZERO, |_| false);
        let speaker = Speaker::new(tenant, Delegations::default(), did, ambient);
        assert!(matches!(speaker.say("/a", did, &Args { block: 1, reason: None }), Err(SpeakError::Entropy)));
    }
}
