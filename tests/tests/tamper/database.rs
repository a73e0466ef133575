//! A database that can be copied, and changed past the crate that owns it.

use std::{
    collections::BTreeSet,
    env, fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

/// All tables.
pub const TABLES: [&str; 12] = [
    "entries",
    "tokens",
    "tiles",
    "checkpoints",
    "head",
    "leases",
    "proposals",
    "mentions",
    "locks",
    "nonce_locks",
    "evidence",
    "migrations",
];

/// Where databases are made.
#[derive(Clone)]
pub enum Server {
    /// Files in the folder of a test.
    Sqlite,
    /// Schemas on the server at this URL.
    Postgres(String),
}

/// One database, gone when dropped.
pub struct Database {
    server: Server,
    place: PathBuf,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

impl Server {
    /// The server at `TEST_POSTGRES_URL`; `None`, with a message, if there is none and nobody insists on one.
    pub fn postgres() -> Option<Self> {
        let insisted = env::var("CI").is_ok_and(|v| !v.is_empty() && v != "false")
            || env::var("COUNTERSIGN_TESTS").is_ok_and(|v| v == "all");
        let Ok(url) = env::var("TEST_POSTGRES_URL") else {
            assert!(!insisted, "TEST_POSTGRES_URL is not set; start a server with tests/postgres.sh");
            eprintln!("not run: TEST_POSTGRES_URL is not set; start a server with tests/postgres.sh");
            return None;
        };
        Some(Self::Postgres(url))
    }

    /// An empty database; files are in `folder`.
    pub fn database(&self, folder: &std::path::Path) -> Database {
        let name = format!("tamper_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let database = Database { server: self.clone(), place: folder.join(name) };
        if let Self::Postgres(url) = self {
            let sql = format!("create schema {}", database.name());
            postgres::Client::connect(url, postgres::NoTls).unwrap().batch_execute(&sql).unwrap();
        }
        database
    }
}

impl Database {
    /// The schema, or the file's stem.
    pub fn name(&self) -> &str {
        self.place.file_name().unwrap().to_str().unwrap()
    }

    /// Where it is.
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// As the control plane is told.
    pub fn url(&self) -> String {
        match &self.server {
            Server::Sqlite => format!("sqlite:{}", self.place.display()),
            Server::Postgres(url) => {
                let separator = if url.contains('?') { '&' } else { '?' };
                format!("{url}{separator}options=-csearch_path%3D{}", self.name())
            }
        }
    }

    /// The same rows, guarded by the same triggers.
    pub fn copy(&self) -> Self {
        let copy = self.server.database(self.place.parent().unwrap());
        match &self.server {
            Server::Sqlite => {
                self.sqlite().execute_batch("pragma wal_checkpoint(truncate)").unwrap();
                fs::copy(&self.place, &copy.place).unwrap();
            }
            // A table made like another has its constraints, but not its triggers and foreign keys.
            Server::Postgres(_) => {
                let (old, new) = (self.name(), copy.name());
                let tables = TABLES.map(|t| {
                    format!("create table {new}.{t} (like {old}.{t} including all); insert into {new}.{t} select * from {old}.{t}")
                });
                let guards = "select pg_get_functiondef(oid) from pg_proc where pronamespace = $1::text::regnamespace
                    union all
                    select pg_get_triggerdef(t.oid) from pg_trigger t join pg_class c on c.oid = t.tgrelid
                    where not t.tgisinternal and c.relnamespace = $1::text::regnamespace";
                let mut client = self.postgres();
                let guards = client.query(guards, &[&old]).unwrap();
                let renamed = |r: &postgres::Row| r.get::<_, String>(0).replace(&format!("{old}."), &format!("{new}."));
                let guards: Vec<String> = guards.iter().map(renamed).collect();
                let all = format!("set search_path = {new}; {}; {}", tables.join(";"), guards.join(";"));
                client.batch_execute(&all).unwrap();
            }
        }
        copy
    }

    /// Runs SQL as somebody with access to the database would who takes the guards down and puts them up again.
    pub fn change(&self, sql: &str) -> Result<(), String> {
        match &self.server {
            Server::Sqlite => {
                let connection = self.sqlite();
                let guards = "select 'drop trigger ' || name, sql from sqlite_master where type = 'trigger'";
                let mut guards = connection.prepare(guards).unwrap();
                let guards = guards.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).unwrap();
                let (drops, makes): (Vec<String>, Vec<String>) = guards.map(Result::unwrap).unzip();
                connection.execute_batch(&drops.join(";")).unwrap();
                connection.execute_batch(sql).map_err(|e| e.to_string())?;
                connection.execute_batch(&makes.join(";")).unwrap();
            }
            Server::Postgres(_) => {
                let mut client = self.postgres();
                let switch = |on: &str| TABLES.map(|t| format!("alter table {t} {on} trigger user")).join(";");
                client.batch_execute(&switch("disable")).unwrap();
                client.batch_execute(sql).map_err(|e| format!("{e:?}"))?;
                client.batch_execute(&switch("enable")).unwrap();
            }
        }
        Ok(())
    }

    /// One value of one row.
    pub fn blob(&self, sql: &str) -> Vec<u8> {
        match &self.server {
            Server::Sqlite => self.sqlite().query_row(sql, [], |r| r.get(0)).unwrap(),
            Server::Postgres(_) => self.postgres().query_one(sql, &[]).unwrap().get(0),
        }
    }

    /// One number.
    pub fn number(&self, sql: &str) -> u64 {
        let number: i64 = match &self.server {
            Server::Sqlite => self.sqlite().query_row(sql, [], |r| r.get(0)).unwrap(),
            Server::Postgres(_) => self.postgres().query_one(sql, &[]).unwrap().get(0),
        };
        number.try_into().unwrap()
    }

    /// Every column of every table, as `table.column`.
    pub fn columns(&self) -> BTreeSet<String> {
        match &self.server {
            Server::Sqlite => {
                let sql = "select t.name || '.' || c.name from sqlite_master t, pragma_table_info(t.name) c
                           where t.type = 'table'";
                let connection = self.sqlite();
                let mut columns = connection.prepare(sql).unwrap();
                columns.query_map([], |r| r.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
            }
            Server::Postgres(_) => {
                let sql = "select table_name || '.' || column_name from information_schema.columns
                           where table_schema = $1";
                let rows = self.postgres().query(sql, &[&self.name()]).unwrap();
                rows.iter().map(|r| r.get(0)).collect()
            }
        }
    }

    /// Bytes as a literal of the dialect.
    pub fn literal(&self, bytes: &[u8]) -> String {
        let hex = bytes.iter().fold(String::new(), |hex, b| hex + &format!("{b:02x}"));
        match &self.server {
            Server::Sqlite => format!("x'{hex}'"),
            Server::Postgres(_) => format!("'\\x{hex}'::bytea"),
        }
    }

    fn sqlite(&self) -> rusqlite::Connection {
        let connection = rusqlite::Connection::open(&self.place).unwrap();
        connection.execute_batch("pragma foreign_keys = off; pragma synchronous = off").unwrap();
        connection
    }

    fn postgres(&self) -> postgres::Client {
        let Server::Postgres(url) = &self.server else { panic!("only PostgreSQL has clients") };
        let mut client = postgres::Client::connect(url, postgres::NoTls).unwrap();
        let sql = format!("set search_path = {}; set synchronous_commit = off", self.name());
        client.batch_execute(&sql).unwrap();
        client
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        match &self.server {
            // The folder goes with its owner; copies are many, so each goes at once.
            Server::Sqlite => ["", "-wal", "-shm"].iter().for_each(|suffix| {
                let _ = fs::remove_file(format!("{}{suffix}", self.place.display()));
            }),
            Server::Postgres(url) => {
                if let Ok(mut client) = postgres::Client::connect(url, postgres::NoTls) {
                    let _ = client.batch_execute(&format!("drop schema if exists {} cascade", self.name()));
                }
            }
        }
    }
}
