use domain::{Cid, Did};
use ledger::{Act, Statement, args::Revocation};
use std::{collections::BTreeSet, sync::Arc};

/// What has been revoked, for the capabilities that the log does not hold: read access and the installations' own
/// requests. Folded from the same statements as the ledger's, which keeps its set to itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Revocations(Arc<Sets>);

#[derive(Clone, Debug, Default)]
struct Sets {
    delegations: BTreeSet<(Did, Cid)>,
    keys: BTreeSet<(Did, Did)>,
}

impl Revocations {
    /// Takes note of an accepted statement.
    pub fn note(&mut self, statement: &Statement) {
        let Act::Revoke(revoke) = statement.act() else { return };
        let subject = statement.invocation().subject();
        let realm = match revoke.path.first() {
            Some(ucan::Ipld::Bytes(root)) => ucan::open_delegation(root).map_or(subject, |root| root.issuer()),
            _ => subject,
        };
        let sets = Arc::make_mut(&mut self.0);
        match revoke.revoke {
            Revocation::Delegation(cid) => drop(sets.delegations.insert((realm, cid))),
            Revocation::Key(did) => drop(sets.keys.insert((realm, did))),
            Revocation::Grant(_) => {}
        }
    }

    /// Whether a delegation is revoked in one of the realms.
    pub fn delegation(&self, realms: [Did; 2], cid: &Cid) -> bool {
        realms.iter().any(|realm| self.0.delegations.contains(&(*realm, *cid)))
    }

    /// Whether a key is revoked in one of the realms.
    pub fn key(&self, realms: [Did; 2], did: &Did) -> bool {
        realms.iter().any(|realm| self.0.keys.contains(&(*realm, *did)))
    }
}
