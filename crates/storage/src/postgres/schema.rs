use super::{
    lease,
    session::{Failure, Run, Session, Work, column, error, is_conflict},
};
use crate::{
    Counts, Engine, Error, OpenError,
    migration::{self, Applied, Candidate, Migration},
    value::counts_of,
};
use postgres::error::SqlState;

/// How often two processes may cross each other while migrating before one gives up.
const ATTEMPTS: usize = 10;

/// Applies what is missing, each migration in a transaction of its own. Its row in `migrations` goes first: a second
/// process that does the same waits at the primary key until the first has committed, and then looks again. Whoever is to
/// lead does so from the first of them on.
pub(super) fn migrate(session: &mut Session, candidate: Option<Candidate<'_>>) -> Result<(), OpenError> {
    let known = migration::all(Engine::Postgres);
    let mut there = None;
    for _ in 0..known.len().saturating_add(ATTEMPTS) {
        match create_table(session) {
            Err(e) if is_race(&e) => continue,
            result => result.map_err(|e| error("migrations", e))?,
        }
        let applied = applied(session)?;
        let Some(next) = migration::pending(known, &applied)?.first() else { return Ok(()) };
        match session.transact(|work| apply(work, next, candidate, applied.is_empty())) {
            // Whoever applies a migration records it first, so the second look at what another process has made finds
            // the record.
            Err(Failure::Engine(_, e)) if is_there(&e) && there == Some(next.version) => {
                return Err(OpenError::Unrecorded { version: next.version.to_owned() });
            }
            Err(Failure::Engine(_, e)) if is_there(&e) => there = Some(next.version),
            Err(Failure::Engine(_, e)) if is_race(&e) => {}
            result => result.map_err(Error::from)??,
        }
    }
    match migration::pending(known, &applied(session)?)? {
        [] => Ok(()),
        _ => Err(Error::Unavailable("another process keeps migrating the database".into()).into()),
    }
}

fn create_table(session: &mut Session) -> Result<(), postgres::Error> {
    session.client().batch_execute(
        "-- create_migrations
         set client_min_messages = warning;
         create table if not exists migrations (
             version text not null,
             name text not null,
             checksum text not null,
             constraint migrations_pkey primary key (version)
         );
         comment on column migrations.version is 'YYYYMMDDHHMMSS';
         comment on column migrations.name is 'what it does';
         comment on column migrations.checksum is 'SHA-256 of its text, hex'",
    )
}

fn applied(session: &mut Session) -> Result<Vec<Applied>, Error> {
    let sql = "-- applied_migrations
        select version, checksum from migrations order by version collate \"C\"";
    let rows = session.rows("migrations", sql, &[])?;
    let parse = |row| Ok(Applied { version: column("migrations", row, 0)?, checksum: column("migrations", row, 1)? });
    rows.iter().map(parse).collect()
}

/// Applies one migration, or says why it must not be.
fn apply(
    work: &mut Work<'_>,
    next: &Migration,
    candidate: Option<Candidate<'_>>,
    is_first: bool,
) -> Result<Result<(), OpenError>, Failure> {
    // Building an index over a grown table takes longer than any request may.
    work.batch("schema", "set local statement_timeout = 0; set local lock_timeout = 0")?;
    // The first migration makes the tables of the head and of leases. All others may have to wait for tables that somebody
    // reads, and meanwhile nobody begins to lead.
    if let Some(candidate) = candidate.filter(|_| !is_first)
        && let Err(led) = candidate.check(lease::locked(work)?)
    {
        return Ok(Err(led));
    }
    let sql = "-- record_migration
        insert into migrations (version, name, checksum) values ($1, $2, $3)";
    work.rows("schema", sql, &[&next.version, &next.name, &next.checksum()])?;
    work.batch("schema", next.sql)?;
    if let Some(candidate) = candidate {
        candidate.lead(|holder, now, expires_at| lease::acquire(work, holder, now, expires_at))?;
    }
    Ok(Ok(()))
}

/// Whether something that a migration makes is there already, or what it takes away is not.
fn is_there(e: &postgres::Error) -> bool {
    let codes = [
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::DUPLICATE_FUNCTION,
        SqlState::UNDEFINED_OBJECT,
    ];
    e.code().is_some_and(|c| codes.contains(c))
}

/// Whether the failure means that another process did the same at the same time.
fn is_race(e: &postgres::Error) -> bool {
    is_conflict(e)
        || e.code().is_some_and(|c| {
            // PostgreSQL reports a concurrent update of its catalogue as an internal error.
            let codes = [SqlState::UNIQUE_VIOLATION, SqlState::DUPLICATE_TABLE, SqlState::DUPLICATE_OBJECT];
            codes.contains(c) || *c == SqlState::INTERNAL_ERROR
        })
}

pub(super) fn counts(work: &mut Work<'_>) -> Result<Counts, Error> {
    let sql = "-- counts
        select (select count(*) from entries), (select count(*) from tokens), (select count(*) from tiles),
               (select count(*) from checkpoints), (select count(*) from proposals),
               (select count(*) from mentions), (select count(*) from locks), (select count(*) from nonce_locks),
               (select count(*) from evidence)";
    let rows = work.rows("schema", sql, &[])?;
    let mut columns = [0; 9];
    for (index, count) in columns.iter_mut().enumerate() {
        if let Some(row) = rows.first() {
            *count = column("schema", row, index)?;
        }
    }
    counts_of(columns)
}
