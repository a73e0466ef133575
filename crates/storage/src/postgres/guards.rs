use super::session::{Run, Session, column};
use crate::{
    Engine, Error, OpenError,
    guard::{self, Triggers},
    migration,
};
use std::collections::BTreeMap;

/// Holds triggers and rules of the tables against those that the migrations make.
pub(super) fn check(session: &mut Session) -> Result<(), OpenError> {
    let sql: Vec<&str> = migration::all(Engine::Postgres).iter().map(|m| m.sql).collect();
    guard::compare(&made(&sql), &found(session, &tables(&sql))?)
}

/// What the catalogue says, in the words of the migrations; a rule, which they never make, has none.
fn found(session: &mut Session, tables: &[String]) -> Result<Triggers, Error> {
    const T: &str = "schema";
    let sql = "-- triggers
        select c.relname::text, t.tgname::text,
            case when t.tgenabled in ('O', 'A') then lower(pg_get_triggerdef(t.oid, true)) || ' ' || p.prosrc else '' end
        from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_proc p on p.oid = t.tgfoid
        where not t.tgisinternal and pg_table_is_visible(c.oid) and c.relname::text = any ($1)
        union all
        select c.relname::text, r.rulename::text, ''
        from pg_rewrite r join pg_class c on c.oid = r.ev_class
        where pg_table_is_visible(c.oid) and c.relname::text = any ($1)";
    let rows = session.rows(T, sql, &[&tables])?;
    rows.iter().map(|row| Ok(((column(T, row, 0)?, column(T, row, 1)?), column(T, row, 2)?))).collect()
}

fn tables(migrations: &[&str]) -> Vec<String> {
    statements(migrations, "create table ").filter_map(|s| Some(s.split_whitespace().next()?.to_owned())).collect()
}

/// The triggers of the migrations with the bodies of their functions, as the catalogue words them.
fn made(migrations: &[&str]) -> Triggers {
    let functions: BTreeMap<&str, &str> = statements(migrations, "create function ")
        .filter_map(|s| Some((s.split_once("()")?.0, s.split("$$").nth(1)?)))
        .collect();
    let trigger = |text: &str| {
        let words: Vec<&str> = text.split_once(';')?.0.split_whitespace().collect();
        let (name, call) = (words.first()?, words.last()?);
        let table = words.get(words.iter().position(|w| *w == "on")?.checked_add(1)?)?;
        let body = functions.get(call.strip_suffix("()")?)?;
        let definition = words.join(" ").replace("update or delete", "delete or update");
        Some((((*table).to_owned(), (*name).to_owned()), format!("create trigger {definition} {body}")))
    };
    statements(migrations, "create trigger ").filter_map(trigger).collect()
}

/// What follows each time that a statement begins like this.
fn statements<'a>(migrations: &[&'a str], begins: &'static str) -> impl Iterator<Item = &'a str> {
    migrations.iter().flat_map(move |sql| sql.split(begins).skip(1))
}
