//! What start-up and an outsider make of a changed database.

use crate::{
    built::{Built, config},
    database::Database,
};
use control_plane::{Error, Server};
use log::{KeyName, Note, export};
use replica::{Report, Verifier};
use std::{collections::BTreeMap, path::Path};
use storage::Storage;

/// What start-up says.
#[derive(Debug, PartialEq, Eq)]
pub enum Start {
    /// It refuses, and names a table and its first bad entry.
    Bad(String, u64),
    /// It refuses, with this text.
    Refused(String),
    /// It serves.
    Serves,
}

impl Built {
    /// Starts a control plane on this database with the log's own anchor.
    pub fn start(&self, database: &Database) -> Start {
        self.start_with(database, &self.anchor)
    }

    /// Starts a control plane on this database with another anchor.
    pub fn start_with(&self, database: &Database, anchor: &Path) -> Start {
        // Serving writes the anchor, which must not change what the next case is held against.
        let own = self.path(&format!("{}-anchor", database.name()));
        let _ = std::fs::remove_file(&own);
        if anchor.exists() {
            std::fs::copy(anchor, &own).unwrap();
        }
        match self.runtime.block_on(Server::start(config(&self.world, database.url(), own))) {
            Ok(server) => {
                self.runtime.block_on(server.stop()).unwrap();
                Start::Serves
            }
            Err(Error::Verify(error)) if error.place().is_some() => {
                let (table, seq) = error.place().unwrap();
                let text = format!("{:#}", anyhow::Error::from(error));
                assert!(text.contains(table) && text.contains(&seq.to_string()), "{text}");
                Start::Bad(table.to_owned(), seq)
            }
            Err(error) => Start::Refused(format!("{:#}", anyhow::Error::from(error))),
        }
    }

    /// Everything that this database says about the log, as it is handed out.
    pub fn export(&self, database: &Database) -> Result<Vec<u8>, String> {
        export_of(database, &self.held.origin)
    }

    /// What an outsider who kept one checkpoint makes of an export of this database.
    pub fn verify(&self, database: &Database) -> Result<Report, String> {
        let verifier = Verifier::new(self.world.operator.did, vec![self.held.clone()]);
        verifier.verify(self.export(database)?.as_slice()).map_err(|e| e.to_string())
    }
}

fn export_of(database: &Database, origin: &KeyName) -> Result<Vec<u8>, String> {
    let storage = Storage::open(&database.url()).map_err(|e| e.to_string())?;
    let notes = storage.checkpoints_by_size((0, 0), storage::MAX_PAGE).map_err(|e| e.to_string())?;
    // The newest of each size.
    let mut notes: BTreeMap<u64, String> = notes.into_iter().map(|c| (c.size, c.note)).collect();
    let mut writer = export::Writer::new(Vec::new(), origin).unwrap();
    let (mut from, mut size) = (0, 0);
    loop {
        let page = storage.entries(from, storage::MAX_PAGE).map_err(|e| e.to_string())?;
        let Some(last) = page.last() else { break };
        from = last.seq + 1;
        for entry in page {
            size += 1;
            let tokens = entry.tokens.into_iter().map(|t| t.bytes).collect();
            let record = export::Record::Entry { entry: entry.bytes, tokens };
            writer.write(&record).map_err(|e| e.to_string())?;
            if let Some(note) = notes.remove(&size) {
                put(&mut writer, &note)?;
            }
        }
    }
    for note in notes.values() {
        put(&mut writer, note)?;
    }
    writer.finish().map_err(|e| e.to_string())
}

fn put(writer: &mut export::Writer<Vec<u8>>, note: &str) -> Result<(), String> {
    let note = Note::parse(note).map_err(|e| e.to_string())?;
    writer.write(&export::Record::Checkpoint(note)).map_err(|e| e.to_string())
}
