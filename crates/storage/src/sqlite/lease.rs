use super::error;
use crate::{
    Error, Lease,
    value::{SEQUENCER, int, next_epoch, unsigned, wrote},
};
use domain::Time;
use rusqlite::{OptionalExtension, Transaction};

const T: &str = "leases";

pub(super) fn newest(t: &Transaction<'_>) -> Result<Option<Lease>, Error> {
    let row: Option<(String, i64, i64)> = t
        .prepare_cached(
            "-- newest_lease
             select holder, epoch, expires_at from leases where name = ?1",
        )
        .and_then(|mut s| s.query_row([SEQUENCER], |r| r.try_into()).optional())
        .map_err(|e| error(T, e))?;
    let Some((holder, epoch, expires_at)) = row else { return Ok(None) };
    let expires_at = Time::from_unix(unsigned(T, expires_at)?);
    Ok(Some(Lease { holder, epoch: unsigned(T, epoch)?, expires_at }))
}

pub(super) fn acquire(t: &Transaction<'_>, holder: &str, now: Time, expires_at: Time) -> Result<Option<Lease>, Error> {
    let head_epoch: i64 = t
        .prepare_cached(
            "-- head_epoch
             select epoch from head where id = 1",
        )
        .and_then(|mut s| s.query_row([], |r| r.get(0)))
        .map_err(|e| error("head", e))?;
    let Some(epoch) = next_epoch(newest(t)?.as_ref(), unsigned("head", head_epoch)?, holder, now)? else {
        return Ok(None);
    };
    let (epoch_column, expires_column) = (int(epoch)?, int(expires_at.unix())?);
    let leased = t
        .prepare_cached(
            "-- acquire_lease
             insert into leases (name, holder, epoch, expires_at) values (?1, ?2, ?3, ?4)
             on conflict (name) do update
             set holder = excluded.holder, epoch = excluded.epoch, expires_at = excluded.expires_at",
        )
        .and_then(|mut s| s.execute((SEQUENCER, holder, epoch_column, expires_column)))
        .map_err(|e| error(T, e))?;
    wrote(T, leased, 1)?;
    let raised = t
        .prepare_cached(
            "-- raise_epoch
             update head set epoch = ?1 where id = 1",
        )
        .and_then(|mut s| s.execute([epoch_column]))
        .map_err(|e| error("head", e))?;
    wrote("head", raised, 1)?;
    Ok(Some(Lease { holder: holder.to_owned(), epoch, expires_at }))
}

pub(super) fn renew(t: &Transaction<'_>, held: &Lease, expires_at: Time) -> Result<Option<Lease>, Error> {
    let params = (int(expires_at.unix())?, SEQUENCER, &held.holder, int(held.epoch)?);
    let changed = t
        .prepare_cached(
            "-- renew_lease
             update leases set expires_at = ?1 where name = ?2 and holder = ?3 and epoch = ?4",
        )
        .and_then(|mut s| s.execute(params))
        .map_err(|e| error(T, e))?;
    Ok((changed == 1).then(|| Lease { expires_at, ..held.clone() }))
}
