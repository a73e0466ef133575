/// What the engine itself reported. For the operator's log, not for users.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a query or a small write did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be used now: connection lost, disk full, busy, timeout. Nothing was written; try later.
    #[error("the database is unavailable")]
    Unavailable(#[source] Cause),
    /// The connection was lost while a write was being committed: it may or may not be there. Read before repeating.
    #[error("it is unknown whether the write was committed")]
    Unknown(#[source] Cause),
    /// A row or the schema is not what this crate writes: the database was changed by someone else, or is damaged.
    #[error("table {table} is corrupt: {what}")]
    Corrupt {
        /// The table, or `schema` or `database` when no single table is at fault.
        table: &'static str,
        /// What is wrong, for the operator.
        what: String,
    },
    /// A row with the same key is already there. Nothing was written.
    #[error("table {table} already has this row")]
    Duplicate {
        /// The table with the row.
        table: String,
    },
    /// The value is outside what the schema allows, such as a number above 2^63−1. Nothing was written.
    #[error("refused: {what}")]
    Refused {
        /// The rule that was broken.
        what: String,
    },
}

/// Why a batch was not appended. Except for [`AppendError::Unknown`], nothing of the batch was written.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The head is not `old_head` or the epoch has passed: another process leads, or has appended.
    #[error("another process has moved the head or taken the lease")]
    Fenced,
    /// The connection was lost while committing: the batch is in the log as a whole or not at all. Read the head.
    #[error("it is unknown whether the batch was committed")]
    Unknown(#[source] Cause),
    /// The database cannot be used now: connection lost, disk full, busy, timeout. Try later.
    #[error("the database is unavailable")]
    Unavailable(#[source] Cause),
    /// A statement, token, tile or mention of the batch is already stored.
    #[error("table {table} already has a row of this batch")]
    Duplicate {
        /// The table with the row.
        table: String,
    },
    /// The batch contradicts itself or the schema, such as a gap between positions.
    #[error("refused: {what}")]
    Refused {
        /// The rule that was broken.
        what: String,
    },
    /// The schema or the database file is not what this crate writes.
    #[error("table {table} is corrupt: {what}")]
    Corrupt {
        /// The table, or `schema` or `database` when no single table is at fault.
        table: &'static str,
        /// What is wrong, for the operator.
        what: String,
    },
}

impl From<Error> for AppendError {
    fn from(e: Error) -> Self {
        match e {
            Error::Unavailable(cause) => Self::Unavailable(cause),
            Error::Unknown(cause) => Self::Unknown(cause),
            Error::Corrupt { table, what } => Self::Corrupt { table, what },
            Error::Duplicate { table } => Self::Duplicate { table },
            Error::Refused { what } => Self::Refused { what },
        }
    }
}

/// What is wrong with a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TriggerFault {
    /// The migrations make it, and it is not there.
    #[error("is missing")]
    Missing,
    /// It is there and does something else, or nothing.
    #[error("is switched off or changed")]
    Changed,
    /// No migration makes it.
    #[error("is not one that the migrations make")]
    Foreign,
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is neither `sqlite:PATH` nor `postgres://…`.
    #[error("a database URL is sqlite:PATH or postgres://USER@HOST/DATABASE: {what}")]
    Url {
        /// What is wrong with it. Never the URL itself, which may hold a password.
        what: String,
    },
    /// The database was written by a newer release: it has a migration that this build does not know.
    #[error("the database has migration {version}, which this build does not know: use a newer build")]
    Newer {
        /// The unknown migration.
        version: String,
    },
    /// A migration that the database has differs from the one this build would have applied.
    #[error("migration {version} of the database is not the one of this build")]
    ChangedMigration {
        /// The migration.
        version: String,
    },
    /// What a migration makes is there, or a later migration is, and the table `migrations` does not say that it was
    /// applied.
    #[error("table migrations is bad: the database has migration {version} and no record of it")]
    Unrecorded {
        /// The migration.
        version: String,
    },
    /// A trigger is not as the migrations make it: somebody has changed the schema, and perhaps rows behind it.
    #[error(
        "table {table} is bad: trigger {trigger} {fault}; find out what else was changed, then restore it as in migrations/"
    )]
    Trigger {
        /// The table.
        table: String,
        /// The trigger; on PostgreSQL perhaps a rule.
        trigger: String,
        /// What is wrong with it.
        fault: TriggerFault,
    },
    /// The database needs a migration, and another process leads its log and may not know the new schema.
    #[error("the database needs a migration and another process leads its log, {holder:?}: end that first")]
    Led {
        /// The other process, as the lease names it.
        holder: String,
    },
    /// The database could not be reached, read or migrated.
    #[error("the database could not be opened")]
    Database(#[from] Error),
}
