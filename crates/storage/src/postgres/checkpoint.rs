use super::session::{Failure, Run, Work, column};
use crate::{
    CheckpointOutcome, Error, StoredCheckpoint,
    value::{bound, compare_notes, corrupt, int, unsigned},
};
use postgres::Row;

const T: &str = "checkpoints";

pub(super) fn put(work: &mut Work<'_>, size: u64, note: &str) -> Result<CheckpointOutcome, Failure> {
    let size = int(size)?;
    let sql = "-- put_checkpoint
        insert into checkpoints (size, note) values ($1, $2) on conflict (size) do nothing returning size";
    if !work.rows(T, sql, &[&size, &note])?.is_empty() {
        return Ok(CheckpointOutcome::Stored);
    }
    let sql = "-- checkpoint_of_size
        select note from checkpoints where size = $1 for update";
    let rows = work.rows(T, sql, &[&size])?;
    let row = rows.first().ok_or_else(|| corrupt(T, "a checkpoint has vanished"))?;
    let outcome = compare_notes(column(T, row, 0)?, note);
    if outcome == CheckpointOutcome::Extended {
        let sql = "-- extend_checkpoint
            update checkpoints set note = $2 where size = $1";
        work.rows(T, sql, &[&size, &note])?;
    }
    Ok(outcome)
}

pub(super) fn at_or_before(run: &mut impl Run, size: u64) -> Result<Option<StoredCheckpoint>, Error> {
    let sql = "-- checkpoint_at_or_before
        select size, note from checkpoints where size <= $1 order by size desc limit 1";
    run.rows(T, sql, &[&bound(size)])?.first().map(parse).transpose()
}

pub(super) fn list(run: &mut impl Run, from: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, Error> {
    let sql = "-- checkpoints
        select size, note from checkpoints where size >= $1 order by size limit $2";
    run.rows(T, sql, &[&bound(from), &i64::from(limit)])?.iter().map(parse).collect()
}

fn parse(row: &Row) -> Result<StoredCheckpoint, Error> {
    Ok(StoredCheckpoint { size: unsigned(T, column(T, row, 0)?)?, note: column(T, row, 1)? })
}
