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

/// What reaches for the machine's time, randomness, files, network or surroundings.
const REACHES: [&str; 9] = [
    "OsRng",
    "getrandom",
    "thread_rng",
    "SystemTime::now",
    "Instant::now",
    "std::fs",
    "std::net",
    "std::process",
    "std::env",
];

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

/// The dependencies say what a crate could do; its sources must not do it through the standard library either.
#[test]
fn the_core_reaches_for_nothing_ambient() {
    let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec().expect("cargo metadata");
    let (mut sources, mut reached) = (0, Vec::new());
    for package in &metadata.packages {
        if !short(&package.name).is_some_and(|name| PURE_CRATES.contains(&name)) {
            continue;
        }
        let mut folders = vec![package.manifest_path.parent().expect("a folder").join("src").into_std_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("sources") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.file_name().is_some_and(|name| name != "tests.rs") {
                    let source = std::fs::read_to_string(&path).expect("a source");
                    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                    reached.extend(REACHES.iter().filter(|word| code.contains(**word)).map(|w| (path.clone(), *w)));
                    sources += 1;
                }
            }
        }
    }
    assert!(sources > 100, "only {sources} sources");
    assert!(reached.is_empty(), "the core reaches out: {reached:?}");
}
