//! A database for one case, gone afterwards.

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
};
use storage::{Engine, Storage};

/// A fresh database with its schema, opened once.
pub struct Database {
    pub storage: Option<Storage>,
    pub url: String,
    place: Place,
}

enum Place {
    Folder(tempfile::TempDir),
    Schema { server: String, name: String },
}

impl Database {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        Self { storage: Some(Storage::open(&url).unwrap()), url, place: Place::Folder(folder) }
    }

    /// A schema of its own on the server at `TEST_POSTGRES_URL`; `None`, with a message, if there is no server and
    /// nobody insists on one.
    pub fn postgres() -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let insisted = env::var("CI").is_ok_and(|v| !v.is_empty() && v != "false")
            || env::var("COUNTERSIGN_TESTS").is_ok_and(|v| v == "all");
        let Ok(server) = env::var("TEST_POSTGRES_URL") else {
            assert!(!insisted, "TEST_POSTGRES_URL is not set; start a server with tests/postgres.sh");
            eprintln!("not run: TEST_POSTGRES_URL is not set; start a server with tests/postgres.sh");
            return None;
        };
        let name = format!("case_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut client = postgres::Client::connect(&server, postgres::NoTls).unwrap();
        client.batch_execute(&format!("drop schema if exists {name} cascade; create schema {name}")).unwrap();
        let separator = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{separator}options=-csearch_path%3D{name}&application_name={name}");
        Some(Self { storage: Some(Storage::open(&url).unwrap()), url, place: Place::Schema { server, name } })
    }

    pub fn storage(&self) -> &Storage {
        self.storage.as_ref().unwrap()
    }

    /// What another process has: connections of its own.
    pub fn another(&self) -> Storage {
        Storage::open(&self.url).unwrap()
    }

    pub fn is_sqlite(&self) -> bool {
        self.storage().engine() == Engine::Sqlite
    }

    /// The schema's name on PostgreSQL, which is also the name of this case's connections.
    pub fn name(&self) -> &str {
        match &self.place {
            Place::Folder(_) => panic!("only PostgreSQL has schemas"),
            Place::Schema { name, .. } => name,
        }
    }

    /// Runs SQL past the crate, as somebody with access to the database would.
    pub fn raw(&self, sql: &str) -> Result<(), String> {
        match &self.place {
            Place::Folder(folder) => {
                let connection = rusqlite::Connection::open(folder.path().join("test.db")).unwrap();
                connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
                connection.execute_batch("pragma recursive_triggers = on").unwrap();
                connection.execute_batch(sql).map_err(|e| e.to_string())
            }
            Place::Schema { .. } => self.client().batch_execute(sql).map_err(|e| e.as_db_error().unwrap().to_string()),
        }
    }

    /// A connection to PostgreSQL past the crate, under another name than the crate's.
    pub fn client(&self) -> postgres::Client {
        let Place::Schema { server, name } = &self.place else { panic!("only PostgreSQL has clients") };
        let mut client = postgres::Client::connect(server, postgres::NoTls).unwrap();
        client.batch_execute(&format!("set search_path = {name}")).unwrap();
        client
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.storage.take();
        if let Place::Schema { server, name } = &self.place
            && let Ok(mut client) = postgres::Client::connect(server, postgres::NoTls)
        {
            let _ = client.batch_execute(&format!("drop schema if exists {name} cascade"));
        }
    }
}
