//! The only SQL: one API, one implementation each for SQLite and PostgreSQL.
