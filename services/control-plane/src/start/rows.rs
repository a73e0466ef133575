use super::VerifyError;
use crate::read_model::Rows;
use domain::Cid;
use ledger::State;
use std::collections::BTreeMap;
use storage::{Counts, ProposalRow, StoredMention};

/// Counts what the replay has met, and remembers which open proposals it has not met as they now stand.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub tokens: u64,
    pub tiles: u64,
    mentions: u64,
    proposals: u64,
    /// Proposals derived but not found at their place: a later entry must have changed them.
    awaited: BTreeMap<Cid, u64>,
    /// Open proposals found as they last stood; no later entry may change them.
    met: BTreeMap<Cid, u64>,
}

impl Tally {
    /// Compares the rows that the entry at `seq` derives with those that are stored under it.
    pub fn compare(
        &mut self,
        seq: u64,
        derived: Rows,
        proposals: Vec<ProposalRow>,
        mentions: &[StoredMention],
        after: &State,
    ) -> Result<(), VerifyError> {
        let same =
            derived.mentions.iter().map(|m| (m.cid, m.kind)).eq(mentions.iter().map(|m| (m.cid, m.kind.as_str())));
        if !same {
            return Err(VerifyError::row("mentions", seq, "not what the entry mentions"));
        }
        self.mentions = self.mentions.saturating_add(u64::try_from(mentions.len()).unwrap_or(u64::MAX));
        let mut stored: BTreeMap<Cid, ProposalRow> = proposals.into_iter().map(|p| (p.id, p)).collect();
        for row in derived.proposals {
            let id = row.id;
            if row.seq == seq {
                self.proposals = self.proposals.saturating_add(1);
            }
            if self.met.contains_key(&id) {
                return Err(VerifyError::row("proposals", seq, format!("{id} lacks the change of this entry")));
            }
            self.awaited.remove(&id);
            match stored.remove(&id) {
                None => drop(self.awaited.insert(id, seq)),
                Some(found) if found != row => {
                    return Err(VerifyError::row("proposals", seq, format!("{id} is not what the entry makes of it")));
                }
                Some(_) if after.proposal(&id).is_some() => drop(self.met.insert(id, seq)),
                Some(_) => {}
            }
        }
        match stored.into_keys().next() {
            Some(id) => Err(VerifyError::row("proposals", seq, format!("{id} is not changed by this entry"))),
            None => Ok(()),
        }
    }

    /// Nothing is missing and nothing is there that was not met.
    pub fn check(&self, counts: &Counts, size: u64) -> Result<(), VerifyError> {
        if let Some((id, seq)) = self.awaited.iter().min_by_key(|(_, seq)| **seq) {
            return Err(VerifyError::row("proposals", *seq, format!("{id} is missing or stale")));
        }
        let tables = [
            ("entries", size, counts.entries),
            ("tokens", self.tokens, counts.tokens),
            ("tiles", self.tiles, counts.tiles),
            ("proposals", self.proposals, counts.proposals),
            ("mentions", self.mentions, counts.mentions),
            // What only a signer writes.
            ("locks", 0, counts.locks),
            ("nonce_locks", 0, counts.nonce_locks),
            ("evidence", 0, counts.evidence),
        ];
        match tables.into_iter().find(|(_, met, stored)| met != stored) {
            Some((table, met, stored)) => {
                Err(VerifyError::row(table, size, format!("{stored} rows, the entries account for {met}")))
            }
            None => Ok(()),
        }
    }
}
