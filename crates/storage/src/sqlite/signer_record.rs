use super::error;
use crate::{
    Error, Evidence, Lock, LockOutcome, NonceLock, NoncePlace, StoredNonceLock,
    value::{
        self, NonceLockColumns, after_evidence, after_nonce, bound, compare_locks, digest, int, next_attempt, unsigned,
        wrote,
    },
};
use domain::{Digest, Time};
use rusqlite::{OptionalExtension, Transaction};

pub(super) fn lock_intent(t: &Transaction<'_>, intent: &Digest, wanted: &Lock) -> Result<LockOutcome, Error> {
    if let Some(stored) = lock(t, intent)? {
        return Ok(compare_locks(stored, wanted));
    }
    let params = (intent.as_bytes(), wanted.digest.as_bytes(), int(wanted.epoch)?, wanted.seal.as_bytes());
    let inserted = t
        .prepare_cached(
            "-- lock_intent
             insert into locks (intent, digest, epoch, seal) values (?1, ?2, ?3, ?4)",
        )
        .and_then(|mut s| s.execute(params))
        .map_err(|e| error("locks", e))?;
    wrote("locks", inserted, 1)?;
    Ok(LockOutcome::Fresh)
}

pub(super) fn lock(t: &Transaction<'_>, intent: &Digest) -> Result<Option<Lock>, Error> {
    let row: Option<(Vec<u8>, i64, Vec<u8>)> = t
        .prepare_cached(
            "-- lock
             select digest, epoch, seal from locks where intent = ?1",
        )
        .and_then(|mut s| s.query_row([intent.as_bytes()], |r| r.try_into()).optional())
        .map_err(|e| error("locks", e))?;
    row.map(|(bytes, epoch, seal)| value::lock(&bytes, epoch, &seal)).transpose()
}

pub(super) fn locks(t: &Transaction<'_>, after: Option<&Digest>, limit: u32) -> Result<Vec<(Digest, Lock)>, Error> {
    type Columns = (Vec<u8>, Vec<u8>, i64, Vec<u8>);
    const T: &str = "locks";
    let after = after.map_or(&[][..], |intent| intent.as_bytes());
    let rows: Vec<Columns> = t
        .prepare_cached(
            "-- locks
             select intent, digest, epoch, seal from locks where intent > ?1 order by intent limit ?2",
        )
        .and_then(|mut s| s.query_map((after, limit), |r| r.try_into())?.collect())
        .map_err(|e| error(T, e))?;
    rows.into_iter()
        .map(|(intent, bytes, epoch, seal)| Ok((digest(T, &intent)?, value::lock(&bytes, epoch, &seal)?)))
        .collect()
}

pub(super) fn lock_nonce(
    t: &Transaction<'_>,
    (contract, nonce): (&Digest, u64),
    wanted: &NonceLock,
    ended: Time,
    seal: &dyn Fn(&NoncePlace, &NonceLock) -> Digest,
) -> Result<LockOutcome<NonceLock>, Error> {
    let attempt = match next_attempt(nonce_lock(t, contract, nonce)?, wanted, ended) {
        Ok(attempt) => attempt,
        Err(outcome) => return Ok(outcome),
    };
    let valid_until = int(wanted.valid_until.unix())?;
    let seal = seal(&NoncePlace { contract: *contract, nonce, attempt }, wanted);
    let place = (contract.as_bytes(), int(nonce)?, int(attempt)?);
    let params = (place.0, place.1, place.2, wanted.digest.as_bytes(), valid_until, seal.as_bytes());
    let inserted = t
        .prepare_cached(
            "-- lock_nonce
             insert into nonce_locks (contract, nonce, attempt, digest, valid_until, seal)
             values (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .and_then(|mut s| s.execute(params))
        .map_err(|e| error("nonce_locks", e))?;
    wrote("nonce_locks", inserted, 1)?;
    Ok(LockOutcome::Fresh)
}

/// The newest lock on a nonce, with its attempt.
fn nonce_lock(t: &Transaction<'_>, contract: &Digest, nonce: u64) -> Result<Option<(u64, NonceLock)>, Error> {
    const T: &str = "nonce_locks";
    let row: Option<(i64, Vec<u8>, i64)> = t
        .prepare_cached(
            "-- nonce_lock
             select attempt, digest, valid_until from nonce_locks where contract = ?1 and nonce = ?2
             order by attempt desc limit 1",
        )
        .and_then(|mut s| s.query_row((contract.as_bytes(), bound(nonce)), |r| r.try_into()).optional())
        .map_err(|e| error(T, e))?;
    row.map(|(attempt, bytes, until)| {
        let valid_until = Time::from_unix(unsigned(T, until)?);
        Ok((unsigned(T, attempt)?, NonceLock { digest: digest(T, &bytes)?, valid_until }))
    })
    .transpose()
}

pub(super) fn nonce_locks(
    t: &Transaction<'_>,
    after: Option<&NoncePlace>,
    limit: u32,
) -> Result<Vec<StoredNonceLock>, Error> {
    type Columns = (Vec<u8>, i64, i64, Vec<u8>, i64, Vec<u8>);
    let (contract, nonce, attempt) = after_nonce(after);
    let rows: Vec<Columns> = t
        .prepare_cached(
            "-- nonce_locks
             select contract, nonce, attempt, digest, valid_until, seal from nonce_locks
             where (contract, nonce, attempt) > (?1, ?2, ?3) order by contract, nonce, attempt limit ?4",
        )
        .and_then(|mut s| s.query_map((contract, nonce, attempt, limit), |r| r.try_into())?.collect())
        .map_err(|e| error("nonce_locks", e))?;
    let parse = |(contract, nonce, attempt, digest, valid_until, seal): &Columns| {
        let (nonce, attempt, valid_until) = (*nonce, *attempt, *valid_until);
        NonceLockColumns { contract, nonce, attempt, digest, valid_until, seal }.parse()
    };
    rows.iter().map(parse).collect()
}

pub(super) fn put_evidence(t: &Transaction<'_>, evidence: &Evidence) -> Result<bool, Error> {
    let digest = Digest::sha256(&evidence.body);
    let seal = evidence.seal.as_bytes();
    let params = (int(evidence.seq)?, &evidence.kind, digest.as_bytes(), &evidence.body, seal);
    let inserted = t
        .prepare_cached(
            "-- put_evidence
             insert into evidence (seq, kind, digest, body, seal) values (?1, ?2, ?3, ?4, ?5)
             on conflict (seq, kind, digest) do nothing",
        )
        .and_then(|mut s| s.execute(params))
        .map_err(|e| error("evidence", e))?;
    if inserted == 1 {
        return Ok(true);
    }
    wrote("evidence", usize::from(has_evidence(t, evidence, &digest)?), 1)?;
    Ok(false)
}

fn has_evidence(t: &Transaction<'_>, evidence: &Evidence, digest: &Digest) -> Result<bool, Error> {
    t.prepare_cached(
        "-- has_evidence
         select 1 from evidence where seq = ?1 and kind = ?2 and digest = ?3",
    )
    .and_then(|mut s| s.exists((bound(evidence.seq), &evidence.kind, digest.as_bytes())))
    .map_err(|e| error("evidence", e))
}

pub(super) fn evidence(t: &Transaction<'_>, after: Option<&Evidence>, limit: u32) -> Result<Vec<Evidence>, Error> {
    type Columns = (i64, String, Vec<u8>, Vec<u8>, Vec<u8>);
    let (seq, kind, digest) = after_evidence(after);
    let rows: Vec<Columns> = t
        .prepare_cached(
            "-- evidence
             select seq, kind, digest, body, seal from evidence where (seq, kind, digest) > (?1, ?2, ?3)
             order by seq, kind, digest limit ?4",
        )
        .and_then(|mut s| s.query_map((seq, kind, digest, limit), |r| r.try_into())?.collect())
        .map_err(|e| error("evidence", e))?;
    rows.into_iter().map(|(seq, kind, digest, body, seal)| value::evidence(seq, kind, &digest, body, &seal)).collect()
}
