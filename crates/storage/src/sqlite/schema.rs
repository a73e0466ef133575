use super::{commit_error, error, lease};
use crate::{
    Counts, Engine, Error, OpenError,
    guard::{self, Triggers},
    migration::{self, Applied, Candidate, Migration},
    value::counts_of,
};
use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Applies what is missing, each migration in a transaction of its own, which also serialises processes. Whoever is to
/// lead does so from the first of them on.
pub(super) fn migrate(connection: &mut Connection, candidate: Option<Candidate<'_>>) -> Result<(), OpenError> {
    connection
        .execute_batch(
            "-- create_migrations
             create table if not exists migrations (
                 version  text not null, -- YYYYMMDDHHMMSS
                 name     text not null, -- what it does
                 checksum text not null, -- SHA-256 of its text, hex
                 constraint migrations_pkey primary key (version)
             ) strict",
        )
        .map_err(|e| error("migrations", e))?;
    loop {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|e| error("migrations", e))?;
        let applied = applied(&transaction).map_err(|e| error("migrations", e))?;
        let Some(next) = migration::pending(migration::all(Engine::Sqlite), &applied)?.first() else {
            return Ok(());
        };
        // The first migration makes the table of leases.
        if let Some(candidate) = candidate.filter(|_| !applied.is_empty()) {
            candidate.check(lease::newest(&transaction)?)?;
        }
        transaction.execute_batch(next.sql).map_err(|e| failed(next, e))?;
        transaction
            .execute(
                "-- record_migration
                 insert into migrations (version, name, checksum) values (?1, ?2, ?3)",
                (next.version, next.name, next.checksum()),
            )
            .map_err(|e| error("migrations", e))?;
        if let Some(candidate) = candidate {
            candidate.lead(|holder, now, expires_at| lease::acquire(&transaction, holder, now, expires_at))?;
        }
        transaction.commit().map_err(commit_error)?;
    }
}

/// Holds the triggers against those of an empty database with the same migrations.
pub(super) fn check_triggers(connection: &Connection) -> Result<(), OpenError> {
    let empty = || {
        let empty = Connection::open_in_memory()?;
        for migration in migration::all(Engine::Sqlite) {
            empty.execute_batch(migration.sql)?;
        }
        triggers(&empty)
    };
    let made = empty().map_err(|e| error("schema", e))?;
    guard::compare(&made, &triggers(connection).map_err(|e| error("schema", e))?)
}

fn triggers(connection: &Connection) -> rusqlite::Result<Triggers> {
    let mut statement = connection.prepare(
        "-- triggers
         select tbl_name, name, sql from sqlite_schema where type = 'trigger'",
    )?;
    let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
    rows.collect()
}

/// Other processes wait for this transaction, so what is there already was not made just now.
fn failed(next: &Migration, e: rusqlite::Error) -> OpenError {
    match &e {
        rusqlite::Error::SqlInputError { msg, .. } | rusqlite::Error::SqliteFailure(_, Some(msg))
            if msg.ends_with("already exists") =>
        {
            OpenError::Unrecorded { version: next.version.to_owned() }
        }
        _ => error("schema", e).into(),
    }
}

fn applied(transaction: &Transaction<'_>) -> rusqlite::Result<Vec<Applied>> {
    let mut statement = transaction.prepare(
        "-- applied_migrations
         select version, checksum from migrations order by version",
    )?;
    let rows = statement.query_map([], |row| Ok(Applied { version: row.get(0)?, checksum: row.get(1)? }))?;
    rows.collect()
}

pub(super) fn counts(transaction: &Transaction<'_>) -> Result<Counts, Error> {
    let row: [i64; 9] = transaction
        .prepare_cached(
            "-- counts
             select (select count(*) from entries), (select count(*) from tokens), (select count(*) from tiles),
                    (select count(*) from checkpoints), (select count(*) from proposals),
                    (select count(*) from mentions), (select count(*) from locks), (select count(*) from nonce_locks),
                    (select count(*) from evidence)",
        )
        .and_then(|mut s| {
            s.query_row([], |r| {
                let mut columns = [0; 9];
                for (index, count) in columns.iter_mut().enumerate() {
                    *count = r.get(index)?;
                }
                Ok(columns)
            })
        })
        .map_err(|e| error("schema", e))?;
    counts_of(row)
}
