use super::session::{Failure, Run, Work, column};
use crate::{
    Error, Evidence, Lock, LockOutcome,
    value::{bound, compare_locks, corrupt, digest, int, unsigned},
};
use domain::Digest;

pub(super) fn lock_intent(work: &mut Work<'_>, intent: &Digest, wanted: &Lock) -> Result<LockOutcome, Failure> {
    let sql = "-- lock_intent
        insert into locks (intent, digest, epoch) values ($1, $2, $3) on conflict (intent) do nothing returning epoch";
    let params: (&[u8], &[u8], i64) = (intent.as_bytes(), wanted.digest.as_bytes(), int(wanted.epoch)?);
    if !work.rows("locks", sql, &[&params.0, &params.1, &params.2])?.is_empty() {
        return Ok(LockOutcome::Fresh);
    }
    let stored = lock(work, intent)?.ok_or_else(|| corrupt("locks", "a lock has vanished"))?;
    Ok(compare_locks(stored, wanted))
}

pub(super) fn lock(run: &mut impl Run, intent: &Digest) -> Result<Option<Lock>, Error> {
    let sql = "-- lock
        select digest, epoch from locks where intent = $1";
    let rows = run.rows("locks", sql, &[&intent.as_bytes().as_slice()])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let digest = digest("locks", column("locks", row, 0)?)?;
    Ok(Some(Lock { digest, epoch: unsigned("locks", column("locks", row, 1)?)? }))
}

pub(super) fn put_evidence(work: &mut Work<'_>, evidence: &Evidence) -> Result<(), Failure> {
    let sql = "-- put_evidence
        insert into evidence (seq, kind, digest, body) values ($1, $2, $3, $4)
        on conflict (seq, kind, digest) do nothing";
    let digest = Digest::sha256(&evidence.body);
    let digest = digest.as_bytes().as_slice();
    work.rows("evidence", sql, &[&int(evidence.seq)?, &evidence.kind, &digest, &evidence.body])?;
    Ok(())
}

pub(super) fn evidence(run: &mut impl Run, from: u64, limit: u32) -> Result<Vec<Evidence>, Error> {
    const T: &str = "evidence";
    let sql = "-- evidence
        select seq, kind, body from evidence where seq >= $1 order by seq, kind collate \"C\", digest limit $2";
    let rows = run.rows(T, sql, &[&bound(from), &i64::from(limit)])?;
    let parse = |row| {
        Ok(Evidence { seq: unsigned(T, column(T, row, 0)?)?, kind: column(T, row, 1)?, body: column(T, row, 2)? })
    };
    rows.iter().map(parse).collect()
}
