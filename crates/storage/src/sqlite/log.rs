use super::{error, read_model};
use crate::{
    AppendError, Batch, Error, Head, NewEntry, StoredEntry, StoredToken,
    value::{self, bound, by_seq, cid, digest, fitting, int, key, unsigned, wrote},
};
use domain::Cid;
use rusqlite::{OptionalExtension, Transaction};

pub(super) fn head(t: &Transaction<'_>) -> Result<Option<Head>, Error> {
    let (seq, leaf, epoch) = t
        .prepare_cached(
            "-- head
             select seq, leaf, epoch from head where id = 1",
        )
        .and_then(|mut s| s.query_row([], |r| r.try_into()))
        .map_err(|e| error("head", e))?;
    value::head(seq, leaf, epoch)
}

/// Writes what is there.
pub(super) fn touch_head(t: &Transaction<'_>) -> Result<(), Error> {
    let sql = "-- touch_head
        update head set epoch = epoch where id = 1";
    t.prepare_cached(sql).and_then(|mut s| s.execute([])).map(drop).map_err(|e| error("head", e))
}

pub(super) fn append(t: &Transaction<'_>, batch: &Batch) -> Result<(), AppendError> {
    move_head(t, batch)?;
    insert_entries(t, &batch.entries)?;
    for tile in &batch.tiles {
        let params = (tile.level, int(tile.index)?, &tile.hashes);
        let inserted = t
            .prepare_cached(
                "-- insert_tile
                 insert into tiles (level, tile_index, hashes) values (?1, ?2, ?3)",
            )
            .and_then(|mut s| s.execute(params))
            .map_err(|e| error("tiles", e))?;
        wrote("tiles", inserted, 1)?;
    }
    read_model::write(t, batch)?;
    Ok(())
}

fn move_head(t: &Transaction<'_>, batch: &Batch) -> Result<(), AppendError> {
    let Some(last) = batch.entries.last() else { return Ok(()) };
    let params = (int(last.seq)?, last.leaf.as_bytes(), int(batch.epoch)?, batch.old_head.map(int).transpose()?);
    let moved = t
        .prepare_cached(
            "-- move_head
             update head set seq = ?1, leaf = ?2 where id = 1 and epoch = ?3 and seq is ?4",
        )
        .and_then(|mut s| s.execute(params))
        .map_err(|e| error("head", e))?;
    if moved == 1 { Ok(()) } else { Err(AppendError::Fenced) }
}

fn insert_entries(t: &Transaction<'_>, entries: &[NewEntry]) -> Result<(), Error> {
    let mut insert_entry = t
        .prepare_cached(
            "-- insert_entry
             insert into entries (seq, bytes, leaf, statement) values (?1, ?2, ?3, ?4)",
        )
        .map_err(|e| error("entries", e))?;
    let mut insert_token = t
        .prepare_cached(
            "-- insert_token
             insert into tokens (cid, seq, ordinal, bytes) values (?1, ?2, ?3, ?4)",
        )
        .map_err(|e| error("tokens", e))?;
    for entry in entries {
        let seq = int(entry.seq)?;
        let params = (seq, &entry.bytes, entry.leaf.as_bytes(), key(&entry.statement));
        wrote("entries", insert_entry.execute(params).map_err(|e| error("entries", e))?, 1)?;
        for (ordinal, token) in (0_i64..).zip(&entry.tokens) {
            let params = (key(&token.cid), seq, ordinal, &token.bytes);
            wrote("tokens", insert_token.execute(params).map_err(|e| error("tokens", e))?, 1)?;
        }
    }
    Ok(())
}

pub(super) fn entries(t: &Transaction<'_>, from: u64, limit: u32) -> Result<Vec<StoredEntry>, Error> {
    type Columns = (i64, Vec<u8>, Vec<u8>, Vec<u8>);
    let limit = if limit > 1 { fitting(&sizes(t, from, limit)?) } else { limit };
    let rows: Vec<Columns> = t
        .prepare_cached(
            "-- entries
             select seq, bytes, leaf, statement from entries where seq >= ?1 order by seq limit ?2",
        )
        .and_then(|mut s| s.query_map((bound(from), limit), |r| r.try_into())?.collect())
        .map_err(|e| error("entries", e))?;
    let Some((last, ..)) = rows.last() else { return Ok(Vec::new()) };
    let mut tokens = by_seq(tokens(t, bound(from), *last)?, |token| token.seq);
    rows.into_iter()
        .map(|(seq, bytes, leaf, statement)| {
            let seq = unsigned("entries", seq)?;
            let (leaf, statement) = (digest("entries", &leaf)?, cid("entries", &statement)?);
            Ok(StoredEntry { seq, bytes, leaf, statement, tokens: tokens.remove(&seq).unwrap_or_default() })
        })
        .collect()
}

/// How long each entry is with its tokens, without reading them.
fn sizes(t: &Transaction<'_>, from: u64, limit: u32) -> Result<Vec<i64>, Error> {
    t.prepare_cached(
        "-- sizes_of_entries
         select length(e.bytes) + (select coalesce(sum(length(t.bytes)), 0) from tokens as t where t.seq = e.seq)
         from entries as e where e.seq >= ?1 order by e.seq limit ?2",
    )
    .and_then(|mut s| s.query_map((bound(from), limit), |r| r.get(0))?.collect())
    .map_err(|e| error("entries", e))
}

fn tokens(t: &Transaction<'_>, first: i64, last: i64) -> Result<Vec<StoredToken>, Error> {
    let rows: Vec<(Vec<u8>, i64, i64, Vec<u8>)> = t
        .prepare_cached(
            "-- tokens_of_entries
             select cid, seq, ordinal, bytes from tokens where seq between ?1 and ?2 order by seq, ordinal",
        )
        .and_then(|mut s| s.query_map([first, last], |r| r.try_into())?.collect())
        .map_err(|e| error("tokens", e))?;
    rows.into_iter().map(|(id, seq, ordinal, bytes)| stored_token(cid("tokens", &id)?, seq, ordinal, bytes)).collect()
}

pub(super) fn token(t: &Transaction<'_>, id: &Cid) -> Result<Option<StoredToken>, Error> {
    let row: Option<(i64, i64, Vec<u8>)> = t
        .prepare_cached(
            "-- token
             select seq, ordinal, bytes from tokens where cid = ?1",
        )
        .and_then(|mut s| s.query_row([key(id)], |r| r.try_into()).optional())
        .map_err(|e| error("tokens", e))?;
    row.map(|(seq, ordinal, bytes)| stored_token(*id, seq, ordinal, bytes)).transpose()
}

fn stored_token(cid: Cid, seq: i64, ordinal: i64, bytes: Vec<u8>) -> Result<StoredToken, Error> {
    Ok(StoredToken { cid, seq: unsigned("tokens", seq)?, ordinal: unsigned("tokens", ordinal)?, bytes })
}

pub(super) fn seq_of_statement(t: &Transaction<'_>, statement: &Cid) -> Result<Option<u64>, Error> {
    let row: Option<i64> = t
        .prepare_cached(
            "-- seq_of_statement
             select seq from tokens where cid = ?1 and ordinal = 0",
        )
        .and_then(|mut s| s.query_row([key(statement)], |r| r.get(0)).optional())
        .map_err(|e| error("tokens", e))?;
    row.map(|seq| unsigned("tokens", seq)).transpose()
}

pub(super) fn tile(t: &Transaction<'_>, level: u8, index: u64) -> Result<Option<Vec<u8>>, Error> {
    t.prepare_cached(
        "-- tile
         select hashes from tiles where level = ?1 and tile_index = ?2",
    )
    .and_then(|mut s| s.query_row((level, bound(index)), |r| r.get(0)).optional())
    .map_err(|e| error("tiles", e))
}
