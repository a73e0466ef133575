//! The rows that a control plane commits with an entry, for logs that are made here without one. Start-up compares
//! every one of them with its own, so a mistake here cannot pass as a measurement.

use domain::{Cid, Digest};
use ledger::{Act, Change, State, Statement, Status};
use replica::Admitted;
use std::collections::HashSet;
use storage::{Batch, Mention, NewEntry, NewTile, NewToken, ProposalRow};

/// Adds an admitted statement to a batch. `before` is the state that it changed, `held` the delegations that the log
/// holds so far.
pub fn add(
    batch: &mut Batch,
    before: &State,
    statement: &Statement,
    admitted: Admitted,
    held: &mut HashSet<Cid>,
) -> Option<()> {
    let seq = admitted.seq;
    let mut mentions = Vec::new();
    for change in &admitted.changes {
        match change {
            Change::Mention(cid) => mentions.push(Mention { cid: *cid, seq, kind: statement.act().command() }),
            Change::Status(cid, status) => {
                if *status == Status::Expired {
                    mentions.push(Mention { cid: *cid, seq, kind: "expired" });
                }
                let row = proposal(before, statement, &admitted, cid, *status)?;
                batch.proposals.push(row);
            }
        }
    }
    mentions.sort_by(|a, b| (a.cid, a.kind).cmp(&(b.cid, b.kind)));
    mentions.dedup();
    batch.mentions.append(&mut mentions);
    let mut tokens = vec![NewToken { cid: statement.cid(), bytes: statement.invocation().bytes().to_vec() }];
    for proof in statement.proofs() {
        if held.insert(proof.cid()) {
            tokens.push(NewToken { cid: proof.cid(), bytes: proof.bytes().to_vec() });
        }
    }
    let leaf = Digest::from_bytes(*admitted.leaf.as_bytes());
    batch.entries.push(NewEntry { seq, bytes: admitted.entry, leaf, statement: statement.cid(), tokens });
    let tile = |t: log::Tile| NewTile { level: t.level, index: t.index, hashes: t.hashes };
    batch.tiles.extend(admitted.tiles.into_iter().map(tile));
    Some(())
}

fn proposal(
    before: &State,
    statement: &Statement,
    admitted: &Admitted,
    id: &Cid,
    status: Status,
) -> Option<ProposalRow> {
    let (status, updated, kind) = (status.as_str().to_owned(), admitted.seq, "payout".to_owned());
    if let Some(p) = before.proposal(id) {
        return Some(ProposalRow {
            id: *id,
            seq: p.seq,
            at: p.at,
            tenant: p.tenant,
            installation: p.installation,
            plugin: p.plugin.clone(),
            kind,
            order: p.payout.order.clone(),
            asset: p.payout.asset,
            total: p.payout.total,
            status,
            updated,
        });
    }
    let Act::ProposalPayout(payout) = statement.act() else { return None };
    let tenant = statement.invocation().subject();
    let installations = &before.tenant(&tenant)?.installations;
    let installation = statement.proofs().iter().map(|p| p.audience()).find(|did| installations.contains_key(did))?;
    Some(ProposalRow {
        id: *id,
        seq: admitted.seq,
        at: admitted.at,
        tenant,
        installation,
        plugin: installations.get(&installation)?.plugin.clone(),
        kind,
        order: payout.order.clone(),
        asset: payout.asset,
        total: payout.total,
        status,
        updated,
    })
}
