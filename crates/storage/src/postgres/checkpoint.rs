use super::session::{Failure, Params, Run, Work, column};
use crate::{
    Error, StoredCheckpoint,
    value::{bound, digest, int, unsigned, wrote},
};
use postgres::Row;

const T: &str = "checkpoints";

pub(super) fn put(work: &mut Work<'_>, new: &StoredCheckpoint) -> Result<(), Failure> {
    let sql = "-- put_checkpoint
        insert into checkpoints (number, size, note, chain) values ($1, $2, $3, $4) returning number";
    let chain = new.chain.as_bytes().as_slice();
    let stored = work.rows(T, sql, &[&int(new.number)?, &int(new.size)?, &new.note, &chain])?;
    Ok(wrote(T, stored.len(), 1)?)
}

pub(super) fn at_or_before(run: &mut impl Run, size: u64) -> Result<Option<StoredCheckpoint>, Error> {
    let sql = "-- checkpoint_at_or_before
        select number, size, note, chain from checkpoints where size <= $1 order by size desc, number desc limit 1";
    Ok(select(run, sql, &[&bound(size)])?.pop())
}

pub(super) fn by_size(
    run: &mut impl Run,
    (size, number): (u64, u64),
    limit: u32,
) -> Result<Vec<StoredCheckpoint>, Error> {
    let sql = "-- checkpoints_by_size
        select number, size, note, chain from checkpoints where (size, number) >= ($1, $2)
        order by size, number limit $3";
    select(run, sql, &[&bound(size), &bound(number), &i64::from(limit)])
}

pub(super) fn by_number(run: &mut impl Run, from: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, Error> {
    let sql = "-- checkpoints_by_number
        select number, size, note, chain from checkpoints where number >= $1 order by number limit $2";
    select(run, sql, &[&bound(from), &i64::from(limit)])
}

fn select(run: &mut impl Run, sql: &str, params: Params<'_>) -> Result<Vec<StoredCheckpoint>, Error> {
    run.rows(T, sql, params)?.iter().map(parse).collect()
}

fn parse(row: &Row) -> Result<StoredCheckpoint, Error> {
    Ok(StoredCheckpoint {
        number: unsigned(T, column(T, row, 0)?)?,
        size: unsigned(T, column(T, row, 1)?)?,
        note: column(T, row, 2)?,
        chain: digest(T, column(T, row, 3)?)?,
    })
}
