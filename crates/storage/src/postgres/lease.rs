use super::session::{Failure, Run, Work, column};
use crate::{
    Error, Lease,
    value::{SEQUENCER, corrupt, int, next_epoch, unsigned, wrote},
};
use domain::Time;

const T: &str = "leases";

pub(super) fn newest(run: &mut impl Run) -> Result<Option<Lease>, Error> {
    let sql = "-- newest_lease
        select holder, epoch, expires_at from leases where name = $1";
    let rows = run.rows(T, sql, &[&SEQUENCER])?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (epoch, expires_at) = (unsigned(T, column(T, row, 1)?)?, unsigned(T, column(T, row, 2)?)?);
    Ok(Some(Lease { holder: column(T, row, 0)?, epoch, expires_at: Time::from_unix(expires_at) }))
}

/// As [`newest`]; nobody takes, renews or gives back a lease, or appends, until the transaction ends.
pub(super) fn locked(work: &mut Work<'_>) -> Result<Option<Lease>, Failure> {
    lock_head(work)?;
    // Whoever renews takes this row alone.
    let sql = "-- lock_lease
        select epoch from leases where name = $1 for update";
    work.rows(T, sql, &[&SEQUENCER])?;
    Ok(newest(work)?)
}

/// The epoch of the head, whose row exists from the start: locking it first serialises those who acquire.
fn lock_head(work: &mut Work<'_>) -> Result<u64, Failure> {
    let sql = "-- head_epoch
        select epoch from head where id = 1 for update";
    let rows = work.rows("head", sql, &[])?;
    let row = rows.first().ok_or_else(|| corrupt("head", "the row is missing"))?;
    Ok(unsigned("head", column("head", row, 0)?)?)
}

pub(super) fn acquire(
    work: &mut Work<'_>,
    holder: &str,
    now: Time,
    expires_at: Time,
) -> Result<Option<Lease>, Failure> {
    let head_epoch = lock_head(work)?;
    let Some(epoch) = next_epoch(newest(work)?.as_ref(), head_epoch, holder, now)? else { return Ok(None) };
    let sql = "-- acquire_lease
        insert into leases (name, holder, epoch, expires_at) values ($1, $2, $3, $4)
        on conflict (name) do update
        set holder = excluded.holder, epoch = excluded.epoch, expires_at = excluded.expires_at
        returning epoch";
    let leased = work.rows(T, sql, &[&SEQUENCER, &holder, &int(epoch)?, &int(expires_at.unix())?])?;
    wrote(T, leased.len(), 1)?;
    let sql = "-- raise_epoch
        update head set epoch = $1 where id = 1 returning epoch";
    wrote("head", work.rows("head", sql, &[&int(epoch)?])?.len(), 1)?;
    Ok(Some(Lease { holder: holder.to_owned(), epoch, expires_at }))
}

pub(super) fn renew(work: &mut Work<'_>, held: &Lease, expires_at: Time) -> Result<Option<Lease>, Failure> {
    let sql = "-- renew_lease
        update leases set expires_at = $1 where name = $2 and holder = $3 and epoch = $4 returning epoch";
    let rows = work.rows(T, sql, &[&int(expires_at.unix())?, &SEQUENCER, &held.holder, &int(held.epoch)?])?;
    Ok(rows.first().map(|_| Lease { expires_at, ..held.clone() }))
}
