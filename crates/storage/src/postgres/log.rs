use super::session::{Failure, Run, Work, column};
use crate::{
    Batch, Error, Head, ProposalRow, StoredEntry, StoredToken,
    value::{self, bound, by_seq, cid, corrupt, digest, int, key, unsigned},
};
use domain::Cid;

/// The whole batch in one statement, so that appending costs one round trip besides `begin` and `commit`. Everything
/// is joined to the row that `moved` returns: a fenced leader inserts nothing, not even into a constraint's face.
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
), new_tokens as (
    insert into tokens (cid, seq, ordinal, bytes)
    select n.cid, n.seq, n.ordinal, n.bytes
    from moved cross join unnest($9::bytea[], $10::bigint[], $11::bigint[], $12::bytea[])
        as n (cid, seq, ordinal, bytes)
), new_tiles as (
    insert into tiles (level, tile_index, hashes)
    select n.level, n.tile_index, n.hashes
    from moved cross join unnest($13::bigint[], $14::bigint[], $15::bytea[]) as n (level, tile_index, hashes)
), new_mentions as (
    insert into mentions (cid, seq, kind)
    select n.cid, n.seq, n.kind
    from moved cross join unnest($16::bytea[], $17::bigint[], $18::text[]) as n (cid, seq, kind)
), changed_proposals as (
    insert into proposals
        (id, seq, at, tenant, installation, plugin, kind, order_id, asset, total, status, updated)
    select n.id, n.seq, n.at, n.tenant, n.installation, n.plugin, n.kind, n.order_id, n.asset, n.total, n.status,
        n.updated
    from moved cross join unnest($19::bytea[], $20::bigint[], $21::bigint[], $22::text[], $23::text[], $24::text[],
            $25::text[], $26::text[], $27::text[], $28::bigint[], $29::text[], $30::bigint[])
        as n (id, seq, at, tenant, installation, plugin, kind, order_id, asset, total, status, updated)
    on conflict (id) do update set status = excluded.status, updated = excluded.updated
)
select seq from moved";

/// A batch by columns.
pub(super) struct Columns<'a> {
    seq: i64,
    leaf: &'a [u8],
    epoch: i64,
    old_head: Option<i64>,
    entries: (Vec<i64>, Vec<&'a [u8]>, Vec<&'a [u8]>, Vec<&'a [u8]>),
    tokens: (Vec<&'a [u8]>, Vec<i64>, Vec<i64>, Vec<&'a [u8]>),
    tiles: (Vec<i64>, Vec<i64>, Vec<&'a [u8]>),
    mentions: (Vec<&'a [u8]>, Vec<i64>, Vec<&'a str>),
    proposals: ProposalColumns<'a>,
}

#[derive(Default)]
struct ProposalColumns<'a> {
    id: Vec<&'a [u8]>,
    seq: Vec<i64>,
    at: Vec<i64>,
    tenant: Vec<String>,
    installation: Vec<String>,
    plugin: Vec<&'a str>,
    kind: Vec<&'a str>,
    order: Vec<&'a str>,
    asset: Vec<String>,
    total: Vec<i64>,
    status: Vec<&'a str>,
    updated: Vec<i64>,
}

impl<'a> ProposalColumns<'a> {
    fn push(&mut self, p: &'a ProposalRow) -> Result<(), Error> {
        self.id.push(key(&p.id));
        self.seq.push(int(p.seq)?);
        self.at.push(int(p.at.unix())?);
        self.tenant.push(p.tenant.to_string());
        self.installation.push(p.installation.to_string());
        self.plugin.push(p.plugin.as_str());
        self.kind.push(&p.kind);
        self.order.push(p.order.as_str());
        self.asset.push(p.asset.to_string());
        self.total.push(int(p.total.get())?);
        self.status.push(&p.status);
        self.updated.push(int(p.updated)?);
        Ok(())
    }
}

impl<'a> Columns<'a> {
    pub fn of(batch: &'a Batch) -> Result<Self, Error> {
        let empty = || Error::Refused { what: "a batch has at least one entry".to_owned() };
        let last = batch.entries.last().ok_or_else(empty)?;
        let mut columns = Self {
            seq: int(last.seq)?,
            leaf: last.leaf.as_bytes(),
            epoch: int(batch.epoch)?,
            old_head: batch.old_head.map(int).transpose()?,
            entries: Default::default(),
            tokens: Default::default(),
            tiles: Default::default(),
            mentions: Default::default(),
            proposals: ProposalColumns::default(),
        };
        for entry in &batch.entries {
            let seq = int(entry.seq)?;
            columns.entries.0.push(seq);
            columns.entries.1.push(&entry.bytes);
            columns.entries.2.push(entry.leaf.as_bytes());
            columns.entries.3.push(key(&entry.statement));
            for (ordinal, token) in (0_i64..).zip(&entry.tokens) {
                columns.tokens.0.push(key(&token.cid));
                columns.tokens.1.push(seq);
                columns.tokens.2.push(ordinal);
                columns.tokens.3.push(&token.bytes);
            }
        }
        for tile in &batch.tiles {
            columns.tiles.0.push(tile.level.into());
            columns.tiles.1.push(int(tile.index)?);
            columns.tiles.2.push(&tile.hashes);
        }
        for mention in &batch.mentions {
            columns.mentions.0.push(key(&mention.cid));
            columns.mentions.1.push(int(mention.seq)?);
            columns.mentions.2.push(mention.kind);
        }
        batch.proposals.iter().try_for_each(|p| columns.proposals.push(p))?;
        Ok(columns)
    }
}

pub(super) fn append(work: &mut Work<'_>, b: &Columns<'_>) -> Result<(), Failure> {
    let (e, t, p) = (&b.entries, &b.tokens, &b.proposals);
    #[rustfmt::skip]
    let moved = work.rows("head", APPEND, &[
        &b.seq, &b.leaf, &b.epoch, &b.old_head,
        &e.0, &e.1, &e.2, &e.3,
        &t.0, &t.1, &t.2, &t.3,
        &b.tiles.0, &b.tiles.1, &b.tiles.2,
        &b.mentions.0, &b.mentions.1, &b.mentions.2,
        &p.id, &p.seq, &p.at, &p.tenant, &p.installation, &p.plugin,
        &p.kind, &p.order, &p.asset, &p.total, &p.status, &p.updated,
    ])?;
    if moved.len() == 1 { Ok(()) } else { Err(Failure::Fenced) }
}

pub(super) fn head(run: &mut impl Run) -> Result<Option<Head>, Error> {
    let sql = "-- head
        select seq, leaf, epoch from head where id = 1";
    let rows = run.rows("head", sql, &[])?;
    let row = rows.first().ok_or_else(|| corrupt("head", "the row is missing"))?;
    value::head(column("head", row, 0)?, column("head", row, 1)?, column("head", row, 2)?)
}

/// Entries never change and their tokens are committed with them, so two statements see one truth.
pub(super) fn entries(run: &mut impl Run, from: u64, limit: u32) -> Result<Vec<StoredEntry>, Error> {
    const T: &str = "entries";
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

fn tokens(run: &mut impl Run, first: i64, last: i64) -> Result<Vec<StoredToken>, Error> {
    let sql = "-- tokens_of_entries
        select cid, seq, bytes from tokens where seq between $1 and $2 order by seq, ordinal";
    parse_tokens(&run.rows("tokens", sql, &[&first, &last])?)
}

pub(super) fn token_many(run: &mut impl Run, cids: &[Cid]) -> Result<Vec<StoredToken>, Error> {
    let sql = "-- token_many
        select cid, seq, bytes from tokens where cid = any ($1)";
    let keys: Vec<&[u8]> = cids.iter().map(key).collect();
    parse_tokens(&run.rows("tokens", sql, &[&keys])?)
}

fn parse_tokens(rows: &[postgres::Row]) -> Result<Vec<StoredToken>, Error> {
    const T: &str = "tokens";
    let parse = |row| {
        let seq = unsigned(T, column(T, row, 1)?)?;
        Ok(StoredToken { cid: cid(T, column(T, row, 0)?)?, seq, bytes: column(T, row, 2)? })
    };
    rows.iter().map(parse).collect()
}

pub(super) fn seq_of_statement(run: &mut impl Run, statement: &Cid) -> Result<Option<u64>, Error> {
    let sql = "-- seq_of_statement
        select seq from entries where statement = $1";
    let rows = run.rows("entries", sql, &[&key(statement)])?;
    rows.first().map(|row| unsigned("entries", column("entries", row, 0)?)).transpose()
}

pub(super) fn tile(run: &mut impl Run, level: u8, index: u64) -> Result<Option<Vec<u8>>, Error> {
    let sql = "-- tile
        select hashes from tiles where level = $1 and tile_index = $2";
    let rows = run.rows("tiles", sql, &[&i64::from(level), &bound(index)])?;
    rows.first().map(|row| column("tiles", row, 0)).transpose()
}
