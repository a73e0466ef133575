use super::{
    columns::Columns,
    session::{Failure, Run, Work, column},
};
use crate::{
    Error, Head, StoredEntry, StoredToken,
    value::{self, bound, by_seq, cid, corrupt, digest, fitting, key, unsigned, wrote},
};
use domain::Cid;

/// The whole batch in one statement, so that appending costs one round trip besides `begin` and `commit`. Everything
/// is joined to the row that `moved` returns: a fenced leader inserts nothing, so it is not told instead
/// that its rows are duplicates. Of the proposals those of the batch's own entries are inserted, those of earlier entries
/// are changed where they are: the one never does the other's work, so that a row which is lost or in the way is noticed.
const APPEND: &str = "-- append
with moved as (
    update head set seq = $1, leaf = $2
    where id = 1 and epoch = $3 and seq is not distinct from $4
    returning seq
), new_entries as (
    insert into entries (seq, bytes, leaf, statement)
    select n.seq, n.bytes, n.leaf, n.statement
    from moved cross join unnest($5::bigint[], $6::bytea[], $7::bytea[], $8::bytea[])
        as n (seq, bytes, leaf, statement)
    returning 1
), new_tokens as (
    insert into tokens (cid, seq, ordinal, bytes)
    select n.cid, n.seq, n.ordinal, n.bytes
    from moved cross join unnest($9::bytea[], $10::bigint[], $11::bigint[], $12::bytea[])
        as n (cid, seq, ordinal, bytes)
    returning 1
), new_tiles as (
    insert into tiles (level, tile_index, hashes)
    select n.level, n.tile_index, n.hashes
    from moved cross join unnest($13::bigint[], $14::bigint[], $15::bytea[]) as n (level, tile_index, hashes)
    returning 1
), new_mentions as (
    insert into mentions (cid, seq, kind)
    select n.cid, n.seq, n.kind
    from moved cross join unnest($16::bytea[], $17::bigint[], $18::text[]) as n (cid, seq, kind)
    returning 1
), changed_proposals as (
    insert into proposals
        (id, seq, at, tenant, installation, plugin, kind, order_id, asset, total, status, updated)
    select n.id, n.seq, n.at, n.tenant, n.installation, n.plugin, n.kind, n.order_id, n.asset, n.total, n.status,
        n.updated
    from moved cross join unnest($19::bytea[], $20::bigint[], $21::bigint[], $22::text[], $23::text[], $24::text[],
            $25::text[], $26::text[], $27::text[], $28::bigint[], $29::text[], $30::bigint[])
        as n (id, seq, at, tenant, installation, plugin, kind, order_id, asset, total, status, updated)
    where n.seq > coalesce($4, -1) or n.id = (select p.id from proposals as p where p.seq = n.seq)
    on conflict (seq) do update set status = excluded.status, updated = excluded.updated
    where proposals.id = excluded.id and excluded.seq <= coalesce($4, -1)
    returning 1
)
select (select count(*) from new_entries), (select count(*) from new_tokens), (select count(*) from new_tiles),
    (select count(*) from new_mentions), (select count(*) from changed_proposals)
from moved";

pub(super) fn append(work: &mut Work<'_>, batch: &Columns<'_>) -> Result<(), Failure> {
    let Columns { seq, leaf, epoch, old_head, entries: e, tokens: t, tiles, mentions: m, proposals: p } = batch;
    #[rustfmt::skip]
    let moved = work.rows("head", APPEND, &[
        seq, leaf, epoch, old_head,
        &e.seq, &e.bytes, &e.leaf, &e.statement,
        &t.cid, &t.seq, &t.ordinal, &t.bytes,
        &tiles.level, &tiles.index, &tiles.hashes,
        &m.cid, &m.seq, &m.kind,
        &p.id, &p.seq, &p.at, &p.tenant, &p.installation, &p.plugin,
        &p.kind, &p.order, &p.asset, &p.total, &p.status, &p.updated,
    ])?;
    let [row] = moved.as_slice() else { return Err(Failure::Fenced) };
    let tables = [
        ("entries", e.seq.len()),
        ("tokens", t.seq.len()),
        ("tiles", tiles.level.len()),
        ("mentions", m.seq.len()),
        ("proposals", p.seq.len()),
    ];
    for (index, (table, expected)) in tables.into_iter().enumerate() {
        let rows: i64 = column(table, row, index)?;
        wrote(table, usize::try_from(rows).unwrap_or(usize::MAX), expected)?;
    }
    Ok(())
}

pub(super) fn head(run: &mut impl Run) -> Result<Option<Head>, Error> {
    read_head(
        run,
        "-- head
        select seq, leaf, epoch from head where id = 1",
    )
}

/// Waits for a transaction that is still moving the head, such as one whose client has gone while it commits.
pub(super) fn settled_head(work: &mut Work<'_>) -> Result<Option<Head>, Error> {
    read_head(
        work,
        "-- settled_head
        select seq, leaf, epoch from head where id = 1 for update",
    )
}

fn read_head(run: &mut impl Run, sql: &str) -> Result<Option<Head>, Error> {
    let rows = run.rows("head", sql, &[])?;
    let row = rows.first().ok_or_else(|| corrupt("head", "the row is missing"))?;
    value::head(column("head", row, 0)?, column("head", row, 1)?, column("head", row, 2)?)
}

/// Writes what is there.
pub(super) fn touch_head(work: &mut Work<'_>) -> Result<(), Failure> {
    let sql = "-- touch_head
        update head set epoch = epoch where id = 1";
    work.rows("head", sql, &[]).map(drop)
}

/// Entries never change and their tokens are committed with them, so two statements see one truth.
pub(super) fn entries(run: &mut impl Run, from: u64, limit: u32) -> Result<Vec<StoredEntry>, Error> {
    const T: &str = "entries";
    let limit = if limit > 1 { fitting(&sizes(run, from, limit)?) } else { limit };
    let sql = "-- entries
        select seq, bytes, leaf, statement from entries where seq >= $1 order by seq limit $2";
    let rows = run.rows(T, sql, &[&bound(from), &i64::from(limit)])?;
    let Some(last) = rows.last() else { return Ok(Vec::new()) };
    let mut tokens = by_seq(tokens(run, bound(from), column(T, last, 0)?)?, |token| token.seq);
    let entry = |row| {
        let seq = unsigned(T, column(T, row, 0)?)?;
        Ok(StoredEntry {
            seq,
            bytes: column(T, row, 1)?,
            leaf: digest(T, column(T, row, 2)?)?,
            statement: cid(T, column(T, row, 3)?)?,
            tokens: tokens.remove(&seq).unwrap_or_default(),
        })
    };
    rows.iter().map(entry).collect()
}

/// How long each entry is with its tokens, without reading them.
fn sizes(run: &mut impl Run, from: u64, limit: u32) -> Result<Vec<i64>, Error> {
    const T: &str = "entries";
    let sql = "-- sizes_of_entries
        select length(e.bytes) + (select coalesce(sum(length(t.bytes)), 0) from tokens as t where t.seq = e.seq)
        from entries as e where e.seq >= $1 order by e.seq limit $2";
    run.rows(T, sql, &[&bound(from), &i64::from(limit)])?.iter().map(|row| column(T, row, 0)).collect()
}

fn tokens(run: &mut impl Run, first: i64, last: i64) -> Result<Vec<StoredToken>, Error> {
    let sql = "-- tokens_of_entries
        select cid, seq, ordinal, bytes from tokens where seq between $1 and $2 order by seq, ordinal";
    parse_tokens(&run.rows("tokens", sql, &[&first, &last])?)
}

pub(super) fn token_many(run: &mut impl Run, cids: &[Cid]) -> Result<Vec<StoredToken>, Error> {
    let sql = "-- token_many
        select cid, seq, ordinal, bytes from tokens where cid = any ($1)";
    let keys: Vec<&[u8]> = cids.iter().map(key).collect();
    parse_tokens(&run.rows("tokens", sql, &[&keys])?)
}

fn parse_tokens(rows: &[postgres::Row]) -> Result<Vec<StoredToken>, Error> {
    const T: &str = "tokens";
    let parse = |row| {
        let (seq, ordinal) = (unsigned(T, column(T, row, 1)?)?, unsigned(T, column(T, row, 2)?)?);
        Ok(StoredToken { cid: cid(T, column(T, row, 0)?)?, seq, ordinal, bytes: column(T, row, 3)? })
    };
    rows.iter().map(parse).collect()
}

pub(super) fn seq_of_statement(run: &mut impl Run, statement: &Cid) -> Result<Option<u64>, Error> {
    let sql = "-- seq_of_statement
        select seq from tokens where cid = $1 and ordinal = 0";
    let rows = run.rows("tokens", sql, &[&key(statement)])?;
    rows.first().map(|row| unsigned("tokens", column("tokens", row, 0)?)).transpose()
}

pub(super) fn tile(run: &mut impl Run, level: u8, index: u64) -> Result<Option<Vec<u8>>, Error> {
    let sql = "-- tile
        select hashes from tiles where level = $1 and tile_index = $2";
    let rows = run.rows("tiles", sql, &[&i64::from(level), &bound(index)])?;
    rows.first().map(|row| column("tiles", row, 0)).transpose()
}
