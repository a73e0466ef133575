//! Between column values and domain values. Reading never trusts, writing never wraps.

use crate::{
    Counts, Error, Evidence, Head, Lease, Lock, LockOutcome, MAX_PAGE_BYTES, NonceLock, NoncePlace, ProposalFilter,
    ProposalRow, StoredNonceLock,
};
use domain::{Amount, Cid, Digest, Time};
use std::{collections::BTreeMap, fmt::Display, str::FromStr};

/// The name under which the right to append is leased.
pub(crate) const SEQUENCER: &str = "sequencer";

/// A number for a signed 64-bit column.
pub(crate) fn int(n: u64) -> Result<i64, Error> {
    i64::try_from(n).map_err(|_| Error::Refused { what: format!("{n} is above 2^63-1") })
}

/// A bound of a search: nothing is stored above the largest column value.
pub(crate) fn bound(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// How many rows of these sizes, from the first on, make a page of entries. The first always does.
pub(crate) fn fitting(sizes: &[i64]) -> u32 {
    let mut left = MAX_PAGE_BYTES;
    let fits = |size: &&i64| {
        let rest = left.checked_sub(u64::try_from(**size).unwrap_or_default());
        left = rest.unwrap_or_default();
        rest.is_some()
    };
    let count = sizes.iter().take_while(fits).count().max(sizes.len().min(1));
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Says what is wrong with `table`.
pub(crate) fn corrupt(table: &'static str, what: impl Display) -> Error {
    Error::Corrupt { table, what: what.to_string() }
}

/// Holds the rows that a statement reports against those that it was to write: a trigger or rule of somebody else's can
/// make an insert do nothing without an error, and a row that is to change can be gone.
pub(crate) fn wrote(table: &'static str, rows: usize, expected: usize) -> Result<(), Error> {
    if rows == expected {
        return Ok(());
    }
    Err(corrupt(
        table,
        format_args!(
            "{rows} rows of {expected} were written: something in the database keeps them away, or has taken them"
        ),
    ))
}

/// A number that cannot be negative.
pub(crate) fn unsigned(table: &'static str, n: i64) -> Result<u64, Error> {
    u64::try_from(n).map_err(|_| corrupt(table, format_args!("{n} is negative")))
}

/// 32 bytes.
pub(crate) fn digest(table: &'static str, bytes: &[u8]) -> Result<Digest, Error> {
    let bytes = bytes.try_into().map_err(|_| corrupt(table, format_args!("a digest of {} bytes", bytes.len())))?;
    Ok(Digest::from_bytes(bytes))
}

/// The CID with this digest.
pub(crate) fn cid(table: &'static str, bytes: &[u8]) -> Result<Cid, Error> {
    digest(table, bytes).map(Cid::from_digest)
}

/// The digest of a CID, which stands for it in every table.
pub(crate) fn key(cid: &Cid) -> &[u8] {
    cid.digest().as_bytes()
}

/// A domain value from its text.
pub(crate) fn text<T: FromStr<Err: Display>>(table: &'static str, s: &str) -> Result<T, Error> {
    s.parse().map_err(|e| corrupt(table, e))
}

/// The columns of `head` as read.
pub(crate) fn head(seq: Option<i64>, leaf: Option<Vec<u8>>, epoch: i64) -> Result<Option<Head>, Error> {
    let epoch = unsigned("head", epoch)?;
    match (seq, leaf) {
        (None, None) => Ok(None),
        (Some(seq), Some(leaf)) => Ok(Some(Head { seq: unsigned("head", seq)?, leaf: digest("head", &leaf)?, epoch })),
        _ => Err(corrupt("head", "seq and leaf are not null together")),
    }
}

/// The epoch of a new lease: `None` if somebody else holds `current`, else one more than the one that was.
pub(crate) fn next_epoch(
    current: Option<&Lease>,
    head_epoch: u64,
    holder: &str,
    now: Time,
) -> Result<Option<u64>, Error> {
    // Both are written in one transaction, so they never differ.
    let epoch = current.map_or(0, |lease| lease.epoch);
    if epoch != head_epoch {
        return Err(corrupt("leases", format_args!("the lease is of epoch {epoch}, the head of {head_epoch}")));
    }
    if is_led_by_another(current, holder, now) {
        return Ok(None);
    }
    Ok(epoch.checked_add(1))
}

/// Whether somebody else than `holder` holds the lease.
pub(crate) fn is_led_by_another(current: Option<&Lease>, holder: &str, now: Time) -> bool {
    current.is_some_and(|lease| lease.holder != holder && lease.expires_at > now)
}

/// The columns of `locks` as read.
pub(crate) fn lock(bytes: &[u8], epoch: i64, seal: &[u8]) -> Result<Lock, Error> {
    const T: &str = "locks";
    Ok(Lock { digest: digest(T, bytes)?, epoch: unsigned(T, epoch)?, seal: digest(T, seal)? })
}

/// A row of `evidence` as read; its digest is part of its key.
pub(crate) fn evidence(seq: i64, kind: String, stored: &[u8], body: Vec<u8>, seal: &[u8]) -> Result<Evidence, Error> {
    const T: &str = "evidence";
    if digest(T, stored)? != Digest::sha256(&body) {
        return Err(corrupt(T, format_args!("the digest of the evidence about {seq} is not that of its body")));
    }
    Ok(Evidence { seq: unsigned(T, seq)?, kind, body, seal: digest(T, seal)? })
}

/// The columns of `nonce_locks` as read.
pub(crate) struct NonceLockColumns<'a> {
    pub contract: &'a [u8],
    pub nonce: i64,
    pub attempt: i64,
    pub digest: &'a [u8],
    pub valid_until: i64,
    pub seal: &'a [u8],
}

impl NonceLockColumns<'_> {
    pub fn parse(&self) -> Result<StoredNonceLock, Error> {
        const T: &str = "nonce_locks";
        let place = NoncePlace {
            contract: digest(T, self.contract)?,
            nonce: unsigned(T, self.nonce)?,
            attempt: unsigned(T, self.attempt)?,
        };
        let valid_until = Time::from_unix(unsigned(T, self.valid_until)?);
        Ok(StoredNonceLock {
            place,
            lock: NonceLock { digest: digest(T, self.digest)?, valid_until },
            seal: digest(T, self.seal)?,
        })
    }
}

/// The place after which a listing of `nonce_locks` begins, as its columns compare; below every row for `None`.
pub(crate) fn after_nonce(after: Option<&NoncePlace>) -> (&[u8], i64, i64) {
    after.map_or((&[], 0, 0), |p| (p.contract.as_bytes(), bound(p.nonce), bound(p.attempt)))
}

/// The place after which a listing of `evidence` begins, as its columns compare; below every row for `None`.
pub(crate) fn after_evidence(after: Option<&Evidence>) -> (i64, &str, Vec<u8>) {
    after.map_or((0, "", Vec::new()), |e| (bound(e.seq), &e.kind, Digest::sha256(&e.body).as_bytes().to_vec()))
}

/// What asking for `wanted` means when `stored` is there.
pub(crate) fn compare_locks(stored: Lock, wanted: &Lock) -> LockOutcome {
    if stored == *wanted { LockOutcome::Same } else { LockOutcome::Conflict(stored) }
}

/// What asking for `wanted` under a nonce means when `last` is its newest lock and others have ended that were valid
/// until before `ended`: an outcome, or the attempt that is to be written.
pub(crate) fn next_attempt(
    last: Option<(u64, NonceLock)>,
    wanted: &NonceLock,
    ended: Time,
) -> Result<u64, LockOutcome<NonceLock>> {
    match last {
        None => Ok(0),
        Some((_, lock)) if lock == *wanted => Err(LockOutcome::Same),
        Some((attempt, lock)) if lock.valid_until < ended => Ok(attempt.saturating_add(1)),
        Some((_, lock)) => Err(LockOutcome::Conflict(lock)),
    }
}

/// The columns of `proposals` as read.
pub(crate) struct ProposalColumns {
    pub id: Vec<u8>,
    pub seq: i64,
    pub at: i64,
    pub tenant: String,
    pub installation: String,
    pub plugin: String,
    pub kind: String,
    pub order: String,
    pub asset: String,
    pub total: i64,
    pub status: String,
    pub updated: i64,
}

impl ProposalColumns {
    pub fn parse(self) -> Result<ProposalRow, Error> {
        const T: &str = "proposals";
        Ok(ProposalRow {
            id: cid(T, &self.id)?,
            seq: unsigned(T, self.seq)?,
            at: Time::from_unix(unsigned(T, self.at)?),
            tenant: text(T, &self.tenant)?,
            installation: text(T, &self.installation)?,
            plugin: text(T, &self.plugin)?,
            kind: self.kind,
            order: text(T, &self.order)?,
            asset: text(T, &self.asset)?,
            total: Amount::new(unsigned(T, self.total)?).map_err(|e| corrupt(T, e))?,
            status: self.status,
            updated: unsigned(T, self.updated)?,
        })
    }
}

/// The columns that a filter asks about, with the values they must have.
pub(crate) fn conditions(filter: &ProposalFilter) -> Vec<(&'static str, String)> {
    [
        ("tenant", filter.tenant.map(|d| d.to_string())),
        ("installation", filter.installation.map(|d| d.to_string())),
        ("status", filter.status.clone()),
        ("order_id", filter.order.as_ref().map(ToString::to_string)),
    ]
    .into_iter()
    .filter_map(|(column, value)| Some((column, value?)))
    .collect()
}

/// Rows by the position they belong to, in the order they came.
pub(crate) fn by_seq<T>(rows: Vec<T>, seq: impl Fn(&T) -> u64) -> BTreeMap<u64, Vec<T>> {
    let mut groups = BTreeMap::<u64, Vec<T>>::new();
    for row in rows {
        groups.entry(seq(&row)).or_default().push(row);
    }
    groups
}

/// Counts in the order of the fields.
pub(crate) fn counts_of(columns: [i64; 9]) -> Result<Counts, Error> {
    let [entries, tokens, tiles, checkpoints, proposals, mentions, locks, nonce_locks, evidence] = columns;
    let n = |count| unsigned("schema", count);
    Ok(Counts {
        entries: n(entries)?,
        tokens: n(tokens)?,
        tiles: n(tiles)?,
        checkpoints: n(checkpoints)?,
        proposals: n(proposals)?,
        mentions: n(mentions)?,
        locks: n(locks)?,
        nonce_locks: n(nonce_locks)?,
        evidence: n(evidence)?,
    })
}
