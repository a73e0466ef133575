use crate::{AppendError, Error, OpenError, value::corrupt};
use postgres::{
    Client, Config, IsolationLevel, NoTls, Row, Statement, Transaction,
    config::SslMode,
    error::{DbError, Severity, SqlState},
    types::{FromSql, ToSql},
};
use std::{collections::HashMap, time::Duration};

/// How long connecting may take, for each host of the URL.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long sent data may stay unacknowledged before a connection counts as lost. Without it a server that vanished
/// would block a caller for a quarter of an hour.
const TCP_TIMEOUT: Duration = Duration::from_secs(10);

/// Limits and durability of every connection. A commit must have reached the disk, and the synchronous standby if
/// there is one, whatever the server's default; a stronger default stays.
const SETTINGS: &str = "
set statement_timeout = '10s';
set lock_timeout = '5s';
set idle_in_transaction_session_timeout = '15s';
set default_transaction_isolation = 'read committed';
select set_config('synchronous_commit', 'on', false)
where current_setting('synchronous_commit') in ('off', 'local');
";

pub(super) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];
type Statements = HashMap<String, Statement>;

/// Reads the URL and adds what it leaves out.
pub(super) fn config(url: &str) -> Result<Config, OpenError> {
    // The parser's message may quote the URL, which may hold a password.
    let refuse = |what: &str| OpenError::Url { what: what.to_owned() };
    let mut config: Config = url.parse().map_err(|_| refuse("not a valid PostgreSQL URL"))?;
    if config.get_ssl_mode() == SslMode::Require {
        return Err(refuse("encrypted connections are not supported"));
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(TCP_TIMEOUT);
    }
    if config.get_application_name().is_none() {
        config.application_name("countersign");
    }
    Ok(config)
}

/// Something that runs SQL: a connection, or a transaction on it.
pub(super) trait Run {
    /// Runs `sql` and returns its rows. Errors are about `table`.
    fn rows(&mut self, table: &'static str, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Failure>;
}

/// A connection with the statements prepared on it.
pub(super) struct Session {
    client: Client,
    statements: Statements,
    broken: bool,
}

impl Session {
    pub fn connect(config: &Config) -> Result<Self, Error> {
        let open = || {
            let mut client = config.connect(NoTls)?;
            client.batch_execute(SETTINGS)?;
            Ok(Self { client, statements: HashMap::new(), broken: false })
        };
        open().map_err(|e| error("database", e))
    }

    /// Whether the connection was lost and must not be used again.
    pub fn is_broken(&self) -> bool {
        self.broken || self.client.is_closed()
    }

    /// Lets the connection be closed instead of used again.
    pub fn abandon(&mut self) {
        self.broken = true;
    }

    /// Runs `write` in a transaction and commits it.
    pub fn transact<T>(&mut self, write: impl Fn(&mut Work<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
        let result = self.begin().and_then(|mut work| {
            let value = write(&mut work)?;
            work.transaction.commit().map_err(Failure::Commit)?;
            Ok(value)
        });
        if let Err(Failure::Engine(_, e) | Failure::Commit(e)) = &result {
            self.broken |= is_fatal(e);
        }
        match result {
            // The server has answered that this commit did not happen.
            Err(Failure::Commit(e)) if is_conflict(&e) || is_constraint(&e) => Err(Failure::Engine("database", e)),
            result => result,
        }
    }

    fn begin(&mut self) -> Result<Work<'_>, Failure> {
        let transaction = self.client.transaction().map_err(|e| Failure::Engine("database", e))?;
        Ok(Work { transaction, statements: &mut self.statements })
    }

    /// A read-only transaction that sees one moment, without a limit on how long a statement reads.
    pub fn snapshot(&mut self) -> Result<Work<'_>, Error> {
        let begin = self.client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
        let mut transaction = begin.start().map_err(|e| error("database", e))?;
        transaction.batch_execute("set local statement_timeout = 0").map_err(|e| error("database", e))?;
        Ok(Work { transaction, statements: &mut self.statements })
    }

    /// The connection itself, for statements that are run once.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }
}

impl Run for Session {
    fn rows(&mut self, table: &'static str, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        let Self { client, statements, .. } = self;
        prepared(statements, sql, |sql| client.prepare(sql))
            .and_then(|s| client.query(&s, params))
            .map_err(|e| Failure::Engine(table, e))
    }
}

/// A transaction; rolled back when dropped.
pub(super) struct Work<'a> {
    transaction: Transaction<'a>,
    statements: &'a mut Statements,
}

impl Work<'_> {
    /// Runs statements that are run once and return nothing. Errors are about `table`.
    pub fn batch(&mut self, table: &'static str, sql: &str) -> Result<(), Failure> {
        self.transaction.batch_execute(sql).map_err(|e| Failure::Engine(table, e))
    }
}

impl Run for Work<'_> {
    fn rows(&mut self, table: &'static str, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        let Self { transaction, statements } = self;
        prepared(statements, sql, |sql| transaction.prepare(sql))
            .and_then(|s| transaction.query(&s, params))
            .map_err(|e| Failure::Engine(table, e))
    }
}

fn prepared(
    statements: &mut Statements,
    sql: &str,
    prepare: impl FnOnce(&str) -> Result<Statement, postgres::Error>,
) -> Result<Statement, postgres::Error> {
    if let Some(statement) = statements.get(sql) {
        return Ok(statement.clone());
    }
    let statement = prepare(sql)?;
    statements.insert(sql.to_owned(), statement.clone());
    Ok(statement)
}

/// Why a transaction did not come to its end; keeps the engine's error until it is known whether to repeat.
#[derive(Debug)]
pub(super) enum Failure {
    /// A statement on this table failed; nothing was written.
    Engine(&'static str, postgres::Error),
    /// The commit itself failed.
    Commit(postgres::Error),
    /// The head or the epoch is not the expected one.
    Fenced,
    /// A value could not be read or written.
    Value(Error),
}

impl From<Error> for Failure {
    fn from(e: Error) -> Self {
        Self::Value(e)
    }
}

impl From<Failure> for AppendError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Engine(table, e) => error(table, e).into(),
            Failure::Commit(e) => Self::Unknown(Box::new(e)),
            Failure::Fenced => Self::Fenced,
            Failure::Value(e) => e.into(),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Engine(table, e) => error(table, e),
            Failure::Commit(e) => Self::Unknown(Box::new(e)),
            Failure::Fenced => Self::Refused { what: "the head has moved".to_owned() },
            Failure::Value(e) => e,
        }
    }
}

/// Reads a column; a value of another type means that the schema is not ours.
pub(super) fn column<'a, T: FromSql<'a>>(table: &'static str, row: &'a Row, index: usize) -> Result<T, Error> {
    row.try_get(index).map_err(|e| corrupt(table, e))
}

/// What an engine error about `table` means.
pub(super) fn error(table: &'static str, e: postgres::Error) -> Error {
    let Some(db) = e.as_db_error() else { return Error::Unavailable(Box::new(e)) };
    let what = || db.message().to_owned();
    match class(db) {
        _ if *db.code() == SqlState::UNIQUE_VIOLATION => {
            Error::Duplicate { table: db.table().unwrap_or(table).to_owned() }
        }
        "22" | "23" => Error::Refused { what: what() },
        "42" | "3F" => corrupt("schema", what()),
        "XX" if *db.code() != SqlState::INTERNAL_ERROR => corrupt("database", what()),
        _ => Error::Unavailable(Box::new(e)),
    }
}

/// Whether the server chose this transaction as the loser of a conflict (40001, 40P01): it may be repeated.
pub(super) fn is_conflict(e: &postgres::Error) -> bool {
    e.code().is_some_and(|c| *c == SqlState::T_R_SERIALIZATION_FAILURE || *c == SqlState::T_R_DEADLOCK_DETECTED)
}

fn is_constraint(e: &postgres::Error) -> bool {
    e.as_db_error().is_some_and(|db| class(db) == "23")
}

/// Whether the connection is of no use after this error.
fn is_fatal(e: &postgres::Error) -> bool {
    let ends_session = |db: &DbError| matches!(db.parsed_severity(), None | Some(Severity::Fatal | Severity::Panic));
    e.is_closed() || e.as_db_error().is_none_or(ends_session)
}

fn class(db: &DbError) -> &str {
    db.code().code().get(..2).unwrap_or_default()
}
