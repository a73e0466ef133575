//! The embedded migrations, and which of them a database still needs.

use crate::{Engine, Error, Lease, OpenError, value::is_led_by_another};
use domain::{Digest, Time};

/// One step of the schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    /// `YYYYMMDDHHMMSS`, so texts sort by age.
    pub version: &'static str,
    /// What it does, as in the file name.
    pub name: &'static str,
    /// The text for one engine.
    pub sql: &'static str,
}

impl Migration {
    /// SHA-256 of the text, in hex.
    pub fn checksum(&self) -> String {
        Digest::sha256(self.sql.as_bytes()).to_string()
    }
}

/// A row of the table `migrations`.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    pub version: String,
    pub checksum: String,
}

/// Who opens a database in order to lead: it must not change the schema under a leader of an older release, and nobody of
/// an older release may begin to lead once it has. So whoever migrates takes the lease in the same transaction.
#[derive(Clone, Copy)]
pub(crate) struct Candidate<'a> {
    pub holder: &'a str,
    /// Seconds.
    pub ttl: u64,
    /// A migration may take longer than a lease.
    pub clock: &'a dyn Fn() -> Time,
}

impl Candidate<'_> {
    /// Whether it may migrate, given the newest lease.
    pub fn check(&self, lease: Option<Lease>) -> Result<(), OpenError> {
        match lease {
            Some(lease) if is_led_by_another(Some(&lease), self.holder, (self.clock)()) => {
                Err(OpenError::Led { holder: lease.holder })
            }
            _ => Ok(()),
        }
    }

    /// Takes the lease by `acquire`, which is given the holder, the time and the lease's end.
    pub fn lead<E: From<Error>>(
        &self,
        acquire: impl FnOnce(&str, Time, Time) -> Result<Option<Lease>, E>,
    ) -> Result<(), E> {
        let now = (self.clock)();
        match acquire(self.holder, now, now.plus(self.ttl))? {
            Some(_) => Ok(()),
            // It was free when the migration began, and nobody can have taken it since.
            None => Err(Error::Unavailable("the clock has gone back to where another process leads".into()).into()),
        }
    }
}

macro_rules! migrations {
    ($engine:literal: $($version:literal $name:literal),* $(,)?) => {
        &[$(Migration {
            version: $version,
            name: $name,
            sql: include_str!(concat!("../../../migrations/", $engine, "/", $version, "_", $name, ".sql")),
        }),*]
    };
}

macro_rules! for_each_engine {
    ($($list:tt)*) => {
        const SQLITE: &[Migration] = migrations!("sqlite": $($list)*);
        const POSTGRES: &[Migration] = migrations!("postgres": $($list)*);
    };
}

for_each_engine! {
    "20261120000000" "create_log",
    "20261120000100" "create_read_models",
    "20261120000200" "create_signer_records",
    "20261121000000" "create_nonce_locks",
    "20261121000100" "find_proposals_by_token",
}

/// All migrations of an engine, oldest first.
pub(crate) const fn all(engine: Engine) -> &'static [Migration] {
    match engine {
        Engine::Sqlite => SQLITE,
        Engine::Postgres => POSTGRES,
    }
}

/// What is left to apply, given what the database has, both oldest first.
pub(crate) fn pending<'a>(known: &'a [Migration], applied: &[Applied]) -> Result<&'a [Migration], OpenError> {
    let mut left = known;
    for row in applied {
        match left.split_first() {
            Some((next, rest)) if next.version == row.version => {
                if next.checksum() != row.checksum {
                    return Err(OpenError::ChangedMigration { version: row.version.clone() });
                }
                left = rest;
            }
            Some((next, rest)) if rest.iter().any(|m| m.version == row.version) => {
                return Err(OpenError::Unrecorded { version: next.version.to_owned() });
            }
            // A version that this build does not have: another build wrote here.
            _ => return Err(OpenError::Newer { version: row.version.clone() }),
        }
    }
    Ok(left)
}
