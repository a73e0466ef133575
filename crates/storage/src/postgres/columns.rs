//! A batch by columns, as `unnest` takes it.

use crate::{
    Batch, Error, Mention, NewEntry, NewTile, ProposalRow,
    value::{int, key},
};

pub(super) struct Columns<'a> {
    pub seq: i64,
    pub leaf: &'a [u8],
    pub epoch: i64,
    pub old_head: Option<i64>,
    pub entries: Entries<'a>,
    pub tokens: Tokens<'a>,
    pub tiles: Tiles<'a>,
    pub mentions: Mentions<'a>,
    pub proposals: Proposals<'a>,
}

#[derive(Default)]
pub(super) struct Entries<'a> {
    pub seq: Vec<i64>,
    pub bytes: Vec<&'a [u8]>,
    pub leaf: Vec<&'a [u8]>,
    pub statement: Vec<&'a [u8]>,
}

#[derive(Default)]
pub(super) struct Tokens<'a> {
    pub cid: Vec<&'a [u8]>,
    pub seq: Vec<i64>,
    pub ordinal: Vec<i64>,
    pub bytes: Vec<&'a [u8]>,
}

#[derive(Default)]
pub(super) struct Tiles<'a> {
    pub level: Vec<i64>,
    pub index: Vec<i64>,
    pub hashes: Vec<&'a [u8]>,
}

#[derive(Default)]
pub(super) struct Mentions<'a> {
    pub cid: Vec<&'a [u8]>,
    pub seq: Vec<i64>,
    pub kind: Vec<&'a str>,
}

#[derive(Default)]
pub(super) struct Proposals<'a> {
    pub id: Vec<&'a [u8]>,
    pub seq: Vec<i64>,
    pub at: Vec<i64>,
    pub tenant: Vec<&'a str>,
    pub installation: Vec<&'a str>,
    pub plugin: Vec<&'a str>,
    pub kind: Vec<&'a str>,
    pub order: Vec<&'a str>,
    pub asset: Vec<String>,
    pub total: Vec<i64>,
    pub status: Vec<&'a str>,
    pub updated: Vec<i64>,
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
            entries: Entries::default(),
            tokens: Tokens::default(),
            tiles: Tiles::default(),
            mentions: Mentions::default(),
            proposals: Proposals::default(),
        };
        for entry in &batch.entries {
            columns.entries.push(entry)?;
            columns.tokens.push(entry)?;
        }
        batch.tiles.iter().try_for_each(|t| columns.tiles.push(t))?;
        batch.mentions.iter().try_for_each(|m| columns.mentions.push(m))?;
        batch.proposals.iter().try_for_each(|p| columns.proposals.push(p))?;
        Ok(columns)
    }
}

impl<'a> Entries<'a> {
    fn push(&mut self, entry: &'a NewEntry) -> Result<(), Error> {
        self.seq.push(int(entry.seq)?);
        self.bytes.push(&entry.bytes);
        self.leaf.push(entry.leaf.as_bytes());
        self.statement.push(key(&entry.statement));
        Ok(())
    }
}

impl<'a> Tokens<'a> {
    fn push(&mut self, entry: &'a NewEntry) -> Result<(), Error> {
        let seq = int(entry.seq)?;
        for (ordinal, token) in (0_i64..).zip(&entry.tokens) {
            self.cid.push(key(&token.cid));
            self.seq.push(seq);
            self.ordinal.push(ordinal);
            self.bytes.push(&token.bytes);
        }
        Ok(())
    }
}

impl<'a> Tiles<'a> {
    fn push(&mut self, tile: &'a NewTile) -> Result<(), Error> {
        self.level.push(tile.level.into());
        self.index.push(int(tile.index)?);
        self.hashes.push(&tile.hashes);
        Ok(())
    }
}

impl<'a> Mentions<'a> {
    fn push(&mut self, mention: &'a Mention) -> Result<(), Error> {
        self.cid.push(key(&mention.cid));
        self.seq.push(int(mention.seq)?);
        self.kind.push(mention.kind);
        Ok(())
    }
}

impl<'a> Proposals<'a> {
    fn push(&mut self, p: &'a ProposalRow) -> Result<(), Error> {
        self.id.push(key(&p.id));
        self.seq.push(int(p.seq)?);
        self.at.push(int(p.at.unix())?);
        self.tenant.push(p.tenant.as_str());
        self.installation.push(p.installation.as_str());
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
