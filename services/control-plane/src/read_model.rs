//! What an entry does to the tables that lists are read from. Commit and start-up both ask this one function, so what
//! is stored and what is expected cannot differ.

use domain::{Cid, Did};
use ledger::{Act, Change, State, Statement, Status};
use replica::Admitted;
use storage::{Mention, ProposalRow};

/// The rows of one entry.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    /// Proposals as they stand after the entry, one row each.
    pub proposals: Vec<ProposalRow>,
    /// What the entry says something about, by CID and kind, each once.
    pub mentions: Vec<Mention>,
}

/// The kind of mention that time makes: the entry is the first after the proposal's last moment.
pub(crate) const EXPIRED: &str = "expired";

/// What the entry `admitted`, which turned `before` into `after` with `statement`, does to the tables. `None` when the
/// states do not hold what the changes are about, which no ledger step leaves behind.
pub(crate) fn rows(before: &State, after: &State, statement: &Statement, admitted: &Admitted) -> Option<Rows> {
    let mut rows = Rows::default();
    for change in &admitted.changes {
        match change {
            Change::Mention(cid) => rows.mentions.push(mention(*cid, admitted.seq, statement.act().command())),
            Change::Status(cid, status) => {
                if *status == Status::Expired {
                    rows.mentions.push(mention(*cid, admitted.seq, EXPIRED));
                }
                let row = if *cid == statement.cid() {
                    new_proposal(before, statement, admitted, *status)?
                } else {
                    changed(before, after, cid, *status, admitted.seq)?
                };
                rows.proposals.retain(|p| p.id != row.id);
                rows.proposals.push(row);
            }
        }
    }
    rows.mentions.sort_by(|a, b| (a.cid, a.kind).cmp(&(b.cid, b.kind)));
    rows.mentions.dedup();
    rows.proposals.sort_by_key(|p| p.seq);
    Some(rows)
}

const fn mention(cid: Cid, seq: u64, kind: &'static str) -> Mention {
    Mention { cid, seq, kind }
}

/// The installation that a proposal's chain passes through, as the ledger found it.
pub(crate) fn installation_of(state: &State, statement: &Statement) -> Option<Did> {
    let tenant = state.tenant(&statement.invocation().subject())?;
    statement.proofs().iter().map(|p| p.audience()).find(|did| tenant.installations.contains_key(did))
}

fn new_proposal(before: &State, statement: &Statement, admitted: &Admitted, status: Status) -> Option<ProposalRow> {
    let Act::ProposalPayout(payout) = statement.act() else { return None };
    let tenant = statement.invocation().subject();
    let did = installation_of(before, statement)?;
    let installation = before.tenant(&tenant)?.installations.get(&did)?;
    Some(ProposalRow {
        id: statement.cid(),
        seq: admitted.seq,
        at: admitted.at,
        tenant,
        installation: did,
        plugin: installation.plugin.clone(),
        kind: "payout".to_owned(),
        order: payout.order.clone(),
        asset: payout.asset,
        total: payout.total,
        status: status.as_str().to_owned(),
        updated: admitted.seq,
    })
}

fn changed(before: &State, after: &State, id: &Cid, status: Status, updated: u64) -> Option<ProposalRow> {
    let proposal = after.proposal(id).or_else(|| before.proposal(id))?;
    Some(ProposalRow {
        id: *id,
        seq: proposal.seq,
        at: proposal.at,
        tenant: proposal.tenant,
        installation: proposal.installation,
        plugin: proposal.plugin.clone(),
        kind: "payout".to_owned(),
        order: proposal.payout.order.clone(),
        asset: proposal.payout.asset,
        total: proposal.payout.total,
        status: status.as_str().to_owned(),
        updated,
    })
}
