use super::{
    log,
    session::{Params, Run, Work, column},
};
use crate::{
    Error, MAX_PAGE, ProposalFilter, ProposalRow, ScannedEntry, StoredEntry, StoredMention,
    value::{ProposalColumns, bound, by_seq, cid, conditions, key, unsigned},
};
use domain::Cid;
use postgres::{Row, types::ToSql};
use std::fmt::Write as _;

const SELECT_PROPOSALS: &str = "-- proposals
select id, seq, at, tenant, installation, plugin, kind, order_id, asset, total, status, updated from proposals";

pub(super) fn proposal(run: &mut impl Run, id: &Cid) -> Result<Option<ProposalRow>, Error> {
    let tail = "where seq = (select seq from tokens where cid = $1 and ordinal = 0) and id = $1";
    Ok(select(run, tail, &[&key(id)])?.pop())
}

pub(super) fn proposals(
    run: &mut impl Run,
    filter: &ProposalFilter,
    before: u64,
    limit: u32,
) -> Result<Vec<ProposalRow>, Error> {
    let (before, limit, conditions) = (bound(before), i64::from(limit), conditions(filter));
    let mut params: Vec<&(dyn ToSql + Sync)> = vec![&before, &limit];
    let mut tail = String::from("where seq < $1");
    for (column, value) in &conditions {
        params.push(value);
        // Writing to a string cannot fail.
        let _ = write!(tail, " and {column} = ${}", params.len());
    }
    tail.push_str(" order by seq desc limit $2");
    select(run, &tail, &params)
}

pub(super) fn mentions(run: &mut impl Run, id: &Cid) -> Result<Vec<StoredMention>, Error> {
    let sql = "-- mentions
        select cid, seq, kind from mentions where cid = $1 order by seq desc, kind collate \"C\" desc limit $2";
    let mut mentions = select_mentions(run, sql, &[&key(id), &i64::from(MAX_PAGE)])?;
    mentions.reverse();
    Ok(mentions)
}

pub(super) fn scan(work: &mut Work<'_>, from: u64, limit: u32) -> Result<Vec<ScannedEntry>, Error> {
    let entries = log::entries(work, from, limit)?;
    let Some(last) = entries.last() else { return Ok(Vec::new()) };
    let (first, last) = (bound(from), bound(last.seq));
    let tail = "where (updated = seq and seq between $1 and $2) or (updated <> seq and updated between $1 and $2)
        order by seq";
    let proposals = select(work, tail, &[&first, &last])?;
    let sql = "-- mentions_of_entries
        select cid, seq, kind from mentions where seq between $1 and $2 order by seq, cid, kind collate \"C\"";
    let mentions = select_mentions(work, sql, &[&first, &last])?;
    let (mut proposals, mut mentions) = (by_seq(proposals, |p| p.updated), by_seq(mentions, |m| m.seq));
    let scanned = |entry: StoredEntry| ScannedEntry {
        proposals: proposals.remove(&entry.seq).unwrap_or_default(),
        mentions: mentions.remove(&entry.seq).unwrap_or_default(),
        entry,
    };
    Ok(entries.into_iter().map(scanned).collect())
}

fn select(run: &mut impl Run, tail: &str, params: Params<'_>) -> Result<Vec<ProposalRow>, Error> {
    let rows = run.rows("proposals", &format!("{SELECT_PROPOSALS} {tail}"), params)?;
    rows.iter().map(|row| columns(row)?.parse()).collect()
}

fn columns(row: &Row) -> Result<ProposalColumns, Error> {
    const T: &str = "proposals";
    Ok(ProposalColumns {
        id: column(T, row, 0)?,
        seq: column(T, row, 1)?,
        at: column(T, row, 2)?,
        tenant: column(T, row, 3)?,
        installation: column(T, row, 4)?,
        plugin: column(T, row, 5)?,
        kind: column(T, row, 6)?,
        order: column(T, row, 7)?,
        asset: column(T, row, 8)?,
        total: column(T, row, 9)?,
        status: column(T, row, 10)?,
        updated: column(T, row, 11)?,
    })
}

fn select_mentions(run: &mut impl Run, sql: &str, params: Params<'_>) -> Result<Vec<StoredMention>, Error> {
    const T: &str = "mentions";
    let rows = run.rows(T, sql, params)?;
    let parse = |row| {
        let seq = unsigned(T, column(T, row, 1)?)?;
        Ok(StoredMention { cid: cid(T, column(T, row, 0)?)?, seq, kind: column(T, row, 2)? })
    };
    rows.iter().map(parse).collect()
}
