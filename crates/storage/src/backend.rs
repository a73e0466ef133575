use crate::{
    AppendError, Batch, Counts, Error, Evidence, Head, Lease, Lock, LockOutcome, NonceLock, NoncePlace, ProposalFilter,
    ProposalRow, ScannedEntry, StoredCheckpoint, StoredEntry, StoredMention, StoredNonceLock, StoredToken,
};
use domain::{Cid, Digest, Time};

/// What an engine must do; [`crate::Storage`] documents each operation and has checked the arguments.
pub(crate) trait Backend: Send + Sync {
    fn ping(&self) -> Result<(), Error>;
    fn try_writing(&self) -> Result<(), Error>;
    fn head(&self) -> Result<Option<Head>, Error>;
    fn settled_head(&self) -> Result<Option<Head>, Error>;
    fn acquire(&self, holder: &str, now: Time, expires_at: Time) -> Result<Option<Lease>, Error>;
    fn renew(&self, lease: &Lease, expires_at: Time) -> Result<Option<Lease>, Error>;
    fn release(&self, lease: &Lease) -> Result<(), Error>;
    fn lease(&self) -> Result<Option<Lease>, Error>;
    fn append(&self, batch: &Batch) -> Result<(), AppendError>;

    fn entries(&self, from: u64, limit: u32) -> Result<Vec<StoredEntry>, Error>;
    fn scan_entries(&self, from: u64, limit: u32) -> Result<Vec<ScannedEntry>, Error>;
    fn token(&self, cid: &Cid) -> Result<Option<StoredToken>, Error>;
    fn token_many(&self, cids: &[Cid]) -> Result<Vec<StoredToken>, Error>;
    fn seq_of_statement(&self, statement: &Cid) -> Result<Option<u64>, Error>;
    fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, Error>;

    fn put_checkpoint(&self, new: &StoredCheckpoint) -> Result<(), Error>;
    fn checkpoint_at_or_before(&self, size: u64) -> Result<Option<StoredCheckpoint>, Error>;
    fn checkpoints_by_size(&self, from: (u64, u64), limit: u32) -> Result<Vec<StoredCheckpoint>, Error>;
    fn checkpoints_by_number(&self, from: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, Error>;

    fn proposal(&self, id: &Cid) -> Result<Option<ProposalRow>, Error>;
    fn proposals(&self, filter: &ProposalFilter, before: u64, limit: u32) -> Result<Vec<ProposalRow>, Error>;
    fn mentions(&self, cid: &Cid) -> Result<Vec<StoredMention>, Error>;

    fn lock_intent(&self, intent: &Digest, lock: &Lock) -> Result<LockOutcome, Error>;
    fn lock(&self, intent: &Digest) -> Result<Option<Lock>, Error>;
    fn locks(&self, after: Option<&Digest>, limit: u32) -> Result<Vec<(Digest, Lock)>, Error>;
    fn lock_nonce(
        &self,
        contract: &Digest,
        nonce: u64,
        lock: &NonceLock,
        ended: Time,
        seal: &dyn Fn(&NoncePlace, &NonceLock) -> Digest,
    ) -> Result<LockOutcome<NonceLock>, Error>;
    fn nonce_locks(&self, after: Option<&NoncePlace>, limit: u32) -> Result<Vec<StoredNonceLock>, Error>;
    fn put_evidence(&self, evidence: &Evidence) -> Result<bool, Error>;
    fn evidence(&self, after: Option<&Evidence>, limit: u32) -> Result<Vec<Evidence>, Error>;
    fn counts(&self) -> Result<Counts, Error>;
}
