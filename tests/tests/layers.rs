//! The layers of ARCHITECTURE.md, held by the build: an edge that is not in this table fails.

use std::collections::{BTreeMap, BTreeSet};

/// What each crate may depend on inside the workspace.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    const PURE: &[&str] = &["domain"];
    const SERVICE: &[&str] = &[
        "domain",
        "ucan",
        "log",
        "threshold",
        "policy",
        "escrow",
        "messages",
        "ledger",
        "replica",
        "storage",
        "client",
        "keyfile",
        "serving",
    ];
    BTreeMap::from([
        ("domain", &[] as &[&str]),
        ("ucan", PURE),
        ("log", PURE),
        ("threshold", PURE),
        ("policy", PURE),
        ("escrow", PURE),
        ("messages", PURE),
        ("ledger", &["domain", "ucan", "policy"]),
        ("storage", PURE),
        ("replica", &["domain", "ucan", "policy", "ledger", "log"]),
        ("receipt", &["domain", "ucan", "policy", "ledger", "log", "replica", "escrow", "messages", "threshold"]),
        ("keyfile", PURE),
        ("client", &["domain", "ucan", "messages", "keyfile"]),
        ("serving", &["domain", "messages"]),
        ("control-plane", SERVICE),
        ("signer", SERVICE),
        ("relayer", SERVICE),
    ])
}

/// What a pure crate must never pull in, directly.
const AMBIENT: [&str; 8] = ["tokio", "axum", "reqwest", "alloy", "rusqlite", "postgres", "sqlx", "tracing-subscriber"];
/// Crates of L0, L1 and the pure half of L2.
const PURE_CRATES: [&str; 10] =
    ["domain", "ucan", "log", "threshold", "policy", "escrow", "messages", "ledger", "replica", "receipt"];

fn short(name: &str) -> Option<&str> {
    name.strip_prefix("countersign-")
}

#[test]
fn every_edge_of_the_workspace_is_an_allowed_one() {
    let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec().expect("cargo metadata");
    let allowed = allowed();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let Some(name) = short(&package.name) else { continue };
        let Some(may) = allowed.get(name) else {
            assert!(name == "tests", "{name} has no layer; give it one");
            continue;
        };
        seen.insert(name.to_owned());
        let normal = package.dependencies.iter().filter(|d| d.kind == cargo_metadata::DependencyKind::Normal);
        for dependency in normal {
            if let Some(to) = short(&dependency.name).filter(|to| !may.contains(to)) {
                wrong.push(format!("{name} -> {to}"));
            }
            if PURE_CRATES.contains(&name) && AMBIENT.contains(&dependency.name.as_str()) {
                wrong.push(format!("{name} -> {} (does I/O)", dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "edges that break the layers: {wrong:?}");
    assert_eq!(seen.len(), allowed.len(), "a crate of the table is gone: {seen:?}");
}
