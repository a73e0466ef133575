use super::error;
use crate::{
    Error, StoredCheckpoint,
    value::{bound, digest, int, unsigned, wrote},
};
use rusqlite::{Params, Transaction};

const T: &str = "checkpoints";

pub(super) fn put(t: &Transaction<'_>, new: &StoredCheckpoint) -> Result<(), Error> {
    let params = (int(new.number)?, int(new.size)?, &new.note, new.chain.as_bytes());
    let inserted = t
        .prepare_cached(
            "-- put_checkpoint
             insert into checkpoints (number, size, note, chain) values (?1, ?2, ?3, ?4)",
        )
        .and_then(|mut s| s.execute(params))
        .map_err(|e| error(T, e))?;
    wrote(T, inserted, 1)
}

pub(super) fn at_or_before(t: &Transaction<'_>, size: u64) -> Result<Option<StoredCheckpoint>, Error> {
    let sql = "-- checkpoint_at_or_before
        select number, size, note, chain from checkpoints where size <= ?1 order by size desc, number desc limit 1";
    Ok(select(t, sql, [bound(size)])?.pop())
}

pub(super) fn by_size(
    t: &Transaction<'_>,
    (size, number): (u64, u64),
    limit: u32,
) -> Result<Vec<StoredCheckpoint>, Error> {
    let sql = "-- checkpoints_by_size
        select number, size, note, chain from checkpoints where (size, number) >= (?1, ?2)
        order by size, number limit ?3";
    select(t, sql, (bound(size), bound(number), limit))
}

pub(super) fn by_number(t: &Transaction<'_>, from: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, Error> {
    let sql = "-- checkpoints_by_number
        select number, size, note, chain from checkpoints where number >= ?1 order by number limit ?2";
    select(t, sql, (bound(from), limit))
}

fn select(t: &Transaction<'_>, sql: &str, params: impl Params) -> Result<Vec<StoredCheckpoint>, Error> {
    let rows: Vec<(i64, i64, String, Vec<u8>)> = t
        .prepare_cached(sql)
        .and_then(|mut s| s.query_map(params, |r| r.try_into())?.collect())
        .map_err(|e| error(T, e))?;
    rows.into_iter()
        .map(|(number, size, note, chain)| {
            let (number, size) = (unsigned(T, number)?, unsigned(T, size)?);
            Ok(StoredCheckpoint { number, size, note, chain: digest(T, &chain)? })
        })
        .collect()
}
