use super::error;
use crate::{
    CheckpointOutcome, Error, StoredCheckpoint,
    value::{bound, compare_notes, int, unsigned},
};
use rusqlite::{OptionalExtension, Transaction};

const T: &str = "checkpoints";

pub(super) fn put(t: &Transaction<'_>, size: u64, note: &str) -> Result<CheckpointOutcome, Error> {
    let column = int(size)?;
    let stored: Option<String> = t
        .prepare_cached(
            "-- checkpoint_of_size
             select note from checkpoints where size = ?1",
        )
        .and_then(|mut s| s.query_row([column], |r| r.get(0)).optional())
        .map_err(|e| error(T, e))?;
    let outcome = stored.map_or(CheckpointOutcome::Stored, |stored| compare_notes(stored, note));
    let sql = match outcome {
        CheckpointOutcome::Stored => {
            "-- put_checkpoint
             insert into checkpoints (size, note) values (?1, ?2)"
        }
        CheckpointOutcome::Extended => {
            "-- extend_checkpoint
             update checkpoints set note = ?2 where size = ?1"
        }
        CheckpointOutcome::Kept | CheckpointOutcome::Conflict(_) => return Ok(outcome),
    };
    t.prepare_cached(sql).and_then(|mut s| s.execute((column, note))).map_err(|e| error(T, e))?;
    Ok(outcome)
}

pub(super) fn at_or_before(t: &Transaction<'_>, size: u64) -> Result<Option<StoredCheckpoint>, Error> {
    let row: Option<(i64, String)> = t
        .prepare_cached(
            "-- checkpoint_at_or_before
             select size, note from checkpoints where size <= ?1 order by size desc limit 1",
        )
        .and_then(|mut s| s.query_row([bound(size)], |r| r.try_into()).optional())
        .map_err(|e| error(T, e))?;
    row.map(parse).transpose()
}

pub(super) fn list(t: &Transaction<'_>, from: u64, limit: u32) -> Result<Vec<StoredCheckpoint>, Error> {
    let rows: Vec<(i64, String)> = t
        .prepare_cached(
            "-- checkpoints
             select size, note from checkpoints where size >= ?1 order by size limit ?2",
        )
        .and_then(|mut s| s.query_map((bound(from), limit), |r| r.try_into())?.collect())
        .map_err(|e| error(T, e))?;
    rows.into_iter().map(parse).collect()
}

fn parse((size, note): (i64, String)) -> Result<StoredCheckpoint, Error> {
    Ok(StoredCheckpoint { size: unsigned(T, size)?, note })
}
