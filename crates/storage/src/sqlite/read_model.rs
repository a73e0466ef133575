use super::{error, log};
use crate::{
    Batch, Error, MAX_PAGE, ProposalFilter, ProposalRow, ScannedEntry, StoredMention,
    value::{ProposalColumns, bound, by_seq, cid, conditions, int, key, unsigned, wrote},
};
use domain::Cid;
use rusqlite::{Row, ToSql, Transaction};
use std::fmt::Write as _;

const SELECT_PROPOSALS: &str = "-- proposals
select id, seq, at, tenant, installation, plugin, kind, order_id, asset, total, status, updated from proposals";

pub(super) fn write(t: &Transaction<'_>, batch: &Batch) -> Result<(), Error> {
    put_proposals(t, batch)?;
    for m in &batch.mentions {
        let params = (key(&m.cid), int(m.seq)?, m.kind);
        let inserted = t
            .prepare_cached(
                "-- insert_mention
                 insert into mentions (cid, seq, kind) values (?1, ?2, ?3)",
            )
            .and_then(|mut s| s.execute(params))
            .map_err(|e| error("mentions", e))?;
        wrote("mentions", inserted, 1)?;
    }
    Ok(())
}

/// Inserts the proposals of the batch's own entries and changes those of earlier entries. Neither does the other's work, so
/// that a row which is lost or in the way is noticed.
fn put_proposals(t: &Transaction<'_>, batch: &Batch) -> Result<(), Error> {
    let prepare = |sql| t.prepare_cached(sql).map_err(|e| error("proposals", e));
    let mut insert = prepare(
        "-- insert_proposal
         insert into proposals
             (id, seq, at, tenant, installation, plugin, kind, order_id, asset, total, status, updated)
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         on conflict (seq) do nothing",
    )?;
    let mut change = prepare(
        "-- change_proposal
         update proposals set status = ?3, updated = ?4 where seq = ?2 and id = ?1",
    )?;
    for p in &batch.proposals {
        let (id, seq, updated) = (key(&p.id), int(p.seq)?, int(p.updated)?);
        let written = if batch.old_head.is_some_and(|head| p.seq <= head) {
            change.execute((id, seq, &p.status, updated))
        } else {
            insert.execute((
                id,
                seq,
                int(p.at.unix())?,
                p.tenant.as_str(),
                p.installation.as_str(),
                p.plugin.as_str(),
                &p.kind,
                p.order.as_str(),
                p.asset.to_string(),
                int(p.total.get())?,
                &p.status,
                updated,
            ))
        };
        wrote("proposals", written.map_err(|e| error("proposals", e))?, 1)?;
    }
    Ok(())
}

pub(super) fn proposal(t: &Transaction<'_>, id: &Cid) -> Result<Option<ProposalRow>, Error> {
    let tail = "where seq = (select seq from tokens where cid = ?1 and ordinal = 0) and id = ?1";
    Ok(select(t, tail, &[&key(id)])?.pop())
}

pub(super) fn proposals(
    t: &Transaction<'_>,
    filter: &ProposalFilter,
    before: u64,
    limit: u32,
) -> Result<Vec<ProposalRow>, Error> {
    let (before, conditions) = (bound(before), conditions(filter));
    let mut params: Vec<&dyn ToSql> = vec![&before, &limit];
    let mut tail = String::from("where seq < ?1");
    for (column, value) in &conditions {
        params.push(value);
        // Writing to a string cannot fail.
        let _ = write!(tail, " and {column} = ?{}", params.len());
    }
    tail.push_str(" order by seq desc limit ?2");
    select(t, &tail, &params)
}

pub(super) fn mentions(t: &Transaction<'_>, id: &Cid) -> Result<Vec<StoredMention>, Error> {
    let sql = "-- mentions
        select cid, seq, kind from mentions where cid = ?1 order by seq desc, kind desc limit ?2";
    let mut mentions = select_mentions(t, sql, &[&key(id), &MAX_PAGE])?;
    mentions.reverse();
    Ok(mentions)
}

pub(super) fn scan(t: &Transaction<'_>, from: u64, limit: u32) -> Result<Vec<ScannedEntry>, Error> {
    let entries = log::entries(t, from, limit)?;
    let Some(last) = entries.last() else { return Ok(Vec::new()) };
    let (first, last) = (bound(from), bound(last.seq));
    let tail = "where (updated = seq and seq between ?1 and ?2) or (updated <> seq and updated between ?1 and ?2)
        order by seq";
    let proposals = select(t, tail, &[&first, &last])?;
    let sql = "-- mentions_of_entries
        select cid, seq, kind from mentions where seq between ?1 and ?2 order by seq, cid, kind";
    let mentions = select_mentions(t, sql, &[&first, &last])?;
    let (mut proposals, mut mentions) = (by_seq(proposals, |p| p.updated), by_seq(mentions, |m| m.seq));
    let scanned = |entry: crate::StoredEntry| ScannedEntry {
        proposals: proposals.remove(&entry.seq).unwrap_or_default(),
        mentions: mentions.remove(&entry.seq).unwrap_or_default(),
        entry,
    };
    Ok(entries.into_iter().map(scanned).collect())
}

fn select(t: &Transaction<'_>, tail: &str, params: &[&dyn ToSql]) -> Result<Vec<ProposalRow>, Error> {
    let rows: Vec<ProposalColumns> = t
        .prepare_cached(&format!("{SELECT_PROPOSALS} {tail}"))
        .and_then(|mut s| s.query_map(params, columns)?.collect())
        .map_err(|e| error("proposals", e))?;
    rows.into_iter().map(ProposalColumns::parse).collect()
}

fn columns(row: &Row<'_>) -> rusqlite::Result<ProposalColumns> {
    Ok(ProposalColumns {
        id: row.get(0)?,
        seq: row.get(1)?,
        at: row.get(2)?,
        tenant: row.get(3)?,
        installation: row.get(4)?,
        plugin: row.get(5)?,
        kind: row.get(6)?,
        order: row.get(7)?,
        asset: row.get(8)?,
        total: row.get(9)?,
        status: row.get(10)?,
        updated: row.get(11)?,
    })
}

fn select_mentions(t: &Transaction<'_>, sql: &str, params: &[&dyn ToSql]) -> Result<Vec<StoredMention>, Error> {
    let rows: Vec<(Vec<u8>, i64, String)> = t
        .prepare_cached(sql)
        .and_then(|mut s| s.query_map(params, |r| r.try_into())?.collect())
        .map_err(|e| error("mentions", e))?;
    rows.into_iter()
        .map(|(id, seq, kind)| Ok(StoredMention { cid: cid("mentions", &id)?, seq: unsigned("mentions", seq)?, kind }))
        .collect()
}
