//! Fresh databases, gone afterwards.

use anyhow::Context as _;
use rand_core::{OsRng, RngCore as _};
use std::path::Path;
use tokio::task::spawn_blocking;

/// A database that nothing else uses.
pub struct Database {
    /// For the storage.
    pub url: String,
    /// What people call the engine.
    pub engine: &'static str,
    place: Place,
}

enum Place {
    Folder(tempfile::TempDir),
    Schema { server: String, name: String },
}

/// Where databases are made.
#[derive(Clone, Debug)]
pub enum Server {
    /// A file.
    Sqlite,
    /// A schema of its own in this PostgreSQL database.
    Postgres(String),
}

impl Server {
    /// A fresh database.
    pub async fn database(&self) -> anyhow::Result<Database> {
        match self {
            Self::Sqlite => {
                let folder = tempfile::tempdir()?;
                let url = format!("sqlite:{}", folder.path().join("log.db").display());
                Ok(Database { url, engine: "SQLite", place: Place::Folder(folder) })
            }
            Self::Postgres(server) => {
                let name = format!("countersign_bench_{:016x}", OsRng.next_u64());
                execute(server, format!("create schema {name}")).await.context("a schema cannot be made")?;
                let separator = if server.contains('?') { '&' } else { '?' };
                let url = format!("{server}{separator}options=-csearch_path%3D{name}");
                let place = Place::Schema { server: server.clone(), name };
                Ok(Database { url, engine: "PostgreSQL", place })
            }
        }
    }
}

impl Database {
    /// Its file, for databases that are one.
    pub fn folder(&self) -> Option<&Path> {
        match &self.place {
            Place::Folder(folder) => Some(folder.path()),
            Place::Schema { .. } => None,
        }
    }

    /// Removes it. Nobody may be connected any more.
    pub async fn remove(self) -> anyhow::Result<()> {
        match self.place {
            Place::Folder(folder) => Ok(folder.close()?),
            Place::Schema { server, name } => {
                execute(&server, format!("drop schema {name} cascade")).await.context("the schema cannot be dropped")
            }
        }
    }
}

async fn execute(server: &str, sql: String) -> anyhow::Result<()> {
    let server = server.to_owned();
    let work = move || anyhow::Ok(postgres::Client::connect(&server, postgres::NoTls)?.batch_execute(&sql)?);
    spawn_blocking(work).await?
}
