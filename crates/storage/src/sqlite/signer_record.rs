use super::error;
use crate::{
    Error, Evidence, Lock, LockOutcome,
    value::{bound, compare_locks, digest, int, unsigned},
};
use domain::Digest;
use rusqlite::{OptionalExtension, Transaction};

pub(super) fn lock_intent(t: &Transaction<'_>, intent: &Digest, wanted: &Lock) -> Result<LockOutcome, Error> {
    if let Some(stored) = lock(t, intent)? {
        return Ok(compare_locks(stored, wanted));
    }
    let params = (intent.as_bytes(), wanted.digest.as_bytes(), int(wanted.epoch)?);
    t.prepare_cached(
        "-- lock_intent
         insert into locks (intent, digest, epoch) values (?1, ?2, ?3)",
    )
    .and_then(|mut s| s.execute(params))
    .map_err(|e| error("locks", e))?;
    Ok(LockOutcome::Fresh)
}

pub(super) fn lock(t: &Transaction<'_>, intent: &Digest) -> Result<Option<Lock>, Error> {
    let row: Option<(Vec<u8>, i64)> = t
        .prepare_cached(
            "-- lock
             select digest, epoch from locks where intent = ?1",
        )
        .and_then(|mut s| s.query_row([intent.as_bytes()], |r| r.try_into()).optional())
        .map_err(|e| error("locks", e))?;
    row.map(|(bytes, epoch)| Ok(Lock { digest: digest("locks", &bytes)?, epoch: unsigned("locks", epoch)? }))
        .transpose()
}

pub(super) fn put_evidence(t: &Transaction<'_>, evidence: &Evidence) -> Result<(), Error> {
    let digest = Digest::sha256(&evidence.body);
    let params = (int(evidence.seq)?, &evidence.kind, digest.as_bytes(), &evidence.body);
    t.prepare_cached(
        "-- put_evidence
         insert into evidence (seq, kind, digest, body) values (?1, ?2, ?3, ?4)
         on conflict (seq, kind, digest) do nothing",
    )
    .and_then(|mut s| s.execute(params))
    .map_err(|e| error("evidence", e))?;
    Ok(())
}

pub(super) fn evidence(t: &Transaction<'_>, from: u64, limit: u32) -> Result<Vec<Evidence>, Error> {
    let rows: Vec<(i64, String, Vec<u8>)> = t
        .prepare_cached(
            "-- evidence
             select seq, kind, body from evidence where seq >= ?1 order by seq, kind, digest limit ?2",
        )
        .and_then(|mut s| s.query_map((bound(from), limit), |r| r.try_into())?.collect())
        .map_err(|e| error("evidence", e))?;
    rows.into_iter().map(|(seq, kind, body)| Ok(Evidence { seq: unsigned("evidence", seq)?, kind, body })).collect()
}
