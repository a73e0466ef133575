use super::session::{Failure, Run, Work, column};
use crate::{
    Error, Evidence, Lock, LockOutcome, NonceLock, NoncePlace, StoredNonceLock,
    value::{
        self, NonceLockColumns, after_evidence, after_nonce, bound, compare_locks, corrupt, digest, int, next_attempt,
        unsigned, wrote,
    },
};
use domain::{Digest, Time};

const T: &str = "nonce_locks";

pub(super) fn lock_intent(work: &mut Work<'_>, intent: &Digest, wanted: &Lock) -> Result<LockOutcome, Failure> {
    let sql = "-- lock_intent
        insert into locks (intent, digest, epoch, seal) values ($1, $2, $3, $4)
        on conflict (intent) do nothing returning epoch";
    let [id, digest, seal] = [intent, &wanted.digest, &wanted.seal].map(|d| d.as_bytes().as_slice());
    if !work.rows("locks", sql, &[&id, &digest, &int(wanted.epoch)?, &seal])?.is_empty() {
        return Ok(LockOutcome::Fresh);
    }
    let stored = lock(work, intent)?.ok_or_else(|| corrupt("locks", "a lock has vanished"))?;
    Ok(compare_locks(stored, wanted))
}

pub(super) fn lock(run: &mut impl Run, intent: &Digest) -> Result<Option<Lock>, Error> {
    let sql = "-- lock
        select digest, epoch, seal from locks where intent = $1";
    let rows = run.rows("locks", sql, &[&intent.as_bytes().as_slice()])?;
    let Some(row) = rows.first() else { return Ok(None) };
    value::lock(column("locks", row, 0)?, column("locks", row, 1)?, column("locks", row, 2)?).map(Some)
}

pub(super) fn locks(run: &mut impl Run, after: Option<&Digest>, limit: u32) -> Result<Vec<(Digest, Lock)>, Error> {
    const T: &str = "locks";
    let sql = "-- locks
        select intent, digest, epoch, seal from locks where intent > $1 order by intent limit $2";
    let after = after.map_or(&[][..], |intent| intent.as_bytes());
    let rows = run.rows(T, sql, &[&after, &i64::from(limit)])?;
    let parse = |row| {
        let lock = value::lock(column(T, row, 1)?, column(T, row, 2)?, column(T, row, 3)?)?;
        Ok((digest(T, column(T, row, 0)?)?, lock))
    };
    rows.iter().map(parse).collect()
}

pub(super) fn lock_nonce(
    work: &mut Work<'_>,
    (contract, nonce): (&Digest, u64),
    wanted: &NonceLock,
    ended: Time,
    seal: &dyn Fn(&NoncePlace, &NonceLock) -> Digest,
) -> Result<LockOutcome<NonceLock>, Failure> {
    let sql = "-- lock_nonce
        insert into nonce_locks (contract, nonce, attempt, digest, valid_until, seal)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (contract, nonce, attempt) do nothing returning attempt";
    let attempt = match next_attempt(nonce_lock(work, contract, nonce)?, wanted, ended) {
        Ok(attempt) => attempt,
        Err(outcome) => return Ok(outcome),
    };
    let seal = seal(&NoncePlace { contract: *contract, nonce, attempt }, wanted);
    let [contract_bytes, digest, seal] = [contract, &wanted.digest, &seal].map(|d| d.as_bytes().as_slice());
    let (number, row, valid_until) = (int(nonce)?, int(attempt)?, int(wanted.valid_until.unix())?);
    if !work.rows(T, sql, &[&contract_bytes, &number, &row, &digest, &valid_until, &seal])?.is_empty() {
        return Ok(LockOutcome::Fresh);
    }
    // Somebody took this attempt meanwhile, and theirs has not ended.
    let newest = nonce_lock(work, contract, nonce)?.filter(|(newest, _)| *newest >= attempt);
    let (_, lock) = newest.ok_or_else(|| corrupt(T, "a lock has vanished"))?;
    Ok(if lock == *wanted { LockOutcome::Same } else { LockOutcome::Conflict(lock) })
}

/// The newest lock on a nonce, with its attempt.
fn nonce_lock(run: &mut impl Run, contract: &Digest, nonce: u64) -> Result<Option<(u64, NonceLock)>, Error> {
    let sql = "-- nonce_lock
        select attempt, digest, valid_until from nonce_locks where contract = $1 and nonce = $2
        order by attempt desc limit 1";
    let rows = run.rows(T, sql, &[&contract.as_bytes().as_slice(), &bound(nonce)])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let valid_until = Time::from_unix(unsigned(T, column(T, row, 2)?)?);
    let lock = NonceLock { digest: digest(T, column(T, row, 1)?)?, valid_until };
    Ok(Some((unsigned(T, column(T, row, 0)?)?, lock)))
}

pub(super) fn nonce_locks(
    run: &mut impl Run,
    after: Option<&NoncePlace>,
    limit: u32,
) -> Result<Vec<StoredNonceLock>, Error> {
    let sql = "-- nonce_locks
        select contract, nonce, attempt, digest, valid_until, seal from nonce_locks
        where (contract, nonce, attempt) > ($1, $2, $3) order by contract, nonce, attempt limit $4";
    let (contract, nonce, attempt) = after_nonce(after);
    let rows = run.rows(T, sql, &[&contract, &nonce, &attempt, &i64::from(limit)])?;
    let parse = |row| {
        let columns = NonceLockColumns {
            contract: column(T, row, 0)?,
            nonce: column(T, row, 1)?,
            attempt: column(T, row, 2)?,
            digest: column(T, row, 3)?,
            valid_until: column(T, row, 4)?,
            seal: column(T, row, 5)?,
        };
        columns.parse()
    };
    rows.iter().map(parse).collect()
}

pub(super) fn put_evidence(work: &mut Work<'_>, evidence: &Evidence) -> Result<bool, Failure> {
    let sql = "-- put_evidence
        insert into evidence (seq, kind, digest, body, seal) values ($1, $2, $3, $4, $5)
        on conflict (seq, kind, digest) do nothing returning seq";
    let digest = Digest::sha256(&evidence.body);
    let [digest, seal] = [&digest, &evidence.seal].map(|d| d.as_bytes().as_slice());
    let seq = int(evidence.seq)?;
    if !work.rows("evidence", sql, &[&seq, &evidence.kind, &digest, &evidence.body, &seal])?.is_empty() {
        return Ok(true);
    }
    let sql = "-- has_evidence
        select seq from evidence where seq = $1 and kind = $2 and digest = $3";
    let there = work.rows("evidence", sql, &[&seq, &evidence.kind, &digest])?;
    wrote("evidence", there.len(), 1)?;
    Ok(false)
}

pub(super) fn evidence(run: &mut impl Run, after: Option<&Evidence>, limit: u32) -> Result<Vec<Evidence>, Error> {
    const T: &str = "evidence";
    let sql = "-- evidence
        select seq, kind, digest, body, seal from evidence where (seq, kind collate \"C\", digest) > ($1, $2, $3)
        order by seq, kind collate \"C\", digest limit $4";
    let (seq, kind, place) = after_evidence(after);
    let rows = run.rows(T, sql, &[&seq, &kind, &place, &i64::from(limit)])?;
    let parse = |row| {
        let (seq, kind, digest) = (column(T, row, 0)?, column(T, row, 1)?, column(T, row, 2)?);
        value::evidence(seq, kind, digest, column(T, row, 3)?, column(T, row, 4)?)
    };
    rows.iter().map(parse).collect()
}
