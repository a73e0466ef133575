//! What a role is told: every mistake is named at once, and nothing secret with it.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests")]

#[path = "support/system.rs"]
mod support;

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Output, Stdio},
};
use support::{countersign, json, run};

const DID: &str = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";

/// What a role says of a file and of variables: each mistake as one line.
fn mistakes(role: &str, folder: &Path, text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let file = folder.join("config.toml");
    fs::write(&file, text).unwrap();
    // Leashed, it ends at once if it finds nothing wrong.
    let mut command = countersign(&[role, "--leashed", "--config", file.to_str().unwrap()]);
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    text.lines().filter_map(|line| line.strip_prefix("  - ")).map(str::to_owned).collect()
}

/// The fields that mistakes are about, sorted.
fn fields(mistakes: &[String]) -> Vec<&str> {
    let mut fields: Vec<_> = mistakes.iter().map(|m| m.split_once(": ").unwrap().0).collect();
    fields.sort_unstable();
    fields
}

fn key(folder: &Path, name: &str) -> String {
    let mut command = countersign(&["--json", "keygen", folder.join(name).to_str().unwrap()]);
    let made = command.env("COUNTERSIGN_PASSPHRASE", "words").output().unwrap();
    json(&made)["did"].as_str().unwrap().to_owned()
}

#[test]
fn a_role_that_is_told_nothing_names_all_that_it_needs() {
    let needed = [
        ("control-plane", &["anchor", "issuer", "operator", "passphrase_file", "sequencer"][..]),
        (
            "signer",
            &[
                "administrators",
                "control_plane",
                "coordinators",
                "data",
                "delegations",
                "identity",
                "operator",
                "passphrase_file",
                "rpc",
                "sequencer",
            ],
        ),
        (
            "relayer",
            &[
                "chains",
                "control_plane",
                "delegations",
                "identity",
                "operator",
                "passphrase_file",
                "sequencer",
                "wallet",
            ],
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (role, needed) in needed {
        let mistakes = mistakes(role, folder.path(), "", &[]);
        assert_eq!(fields(&mistakes), needed, "{mistakes:?}");
    }
    let output = run(&["signer"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("COUNTERSIGN_RPC"), "the remedy is named");
}

#[test]
fn every_mistake_of_a_signer_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("broken.ucan"), "nothing").unwrap();
    let text = "listen = \"nowhere\"\noperator = \"did:web:x\"\nlease = 2\nseqencer = \"did:key:z6Mk\"\n\
                data = \"no-such-folder\"\ndelegations = \".\"\nidentity = \"no-such-key\"\ndatabase = \"mysql://h/d\"\n\
                administrators = [\"me\", \"you\"]\ncontrol_plane = \"http://127.0.0.1:1\"\n";
    let told = mistakes("signer", folder.path(), text, &[("COUNTERSIGN_PASSPHRASE", "words")]);
    // A list with wrong items is not told to be empty, too.
    let all = [
        "administrators",
        "administrators",
        "coordinators",
        "data",
        "database",
        "delegations",
        "identity",
        "lease",
        "listen",
        "operator",
        "rpc",
        "seqencer",
        "sequencer",
    ];
    assert_eq!(fields(&told), all, "{told:#?}");
    let says = |what: &str| assert!(told.iter().any(|m| m.contains(what)), "{what}: {told:#?}");
    for what in ["broken.ucan", "no-such-key", "between 5 and 600", "seqencer: unknown field"] {
        says(what);
    }
}

#[test]
fn every_mistake_of_a_control_plane_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let operator = key(folder.path(), "one.key");
    let holder = "h".repeat(257);
    let text = format!(
        "listen = 7\noperator = \"{operator}\"\nsequencer = \"one.key\"\nissuer = \"one.key\"\n\
         database = \"sqlite:/no/such/folder/log.db\"\nanchor = \"no-such-folder/anchor\"\nholder = \"{holder}\"\n\
         accept_missing_anchor = \"perhaps\"\n"
    );
    let told = mistakes("control-plane", folder.path(), &text, &[("COUNTERSIGN_PASSPHRASE", "words")]);
    let all = ["accept_missing_anchor", "anchor", "database", "holder", "issuer", "listen", "sequencer"];
    assert_eq!(fields(&told), all, "{told:#?}");
    // What opens the keys is missing, and told once; what needs no key is told with it.
    let told = mistakes("control-plane", folder.path(), &text, &[("COUNTERSIGN_DATABASE", "mysql://h/d")]);
    let all = ["accept_missing_anchor", "anchor", "database", "holder", "listen", "passphrase_file"];
    assert_eq!(fields(&told), all, "{told:#?}");
}

#[test]
fn every_mistake_of_a_relayer_is_named() {
    let folder = tempfile::tempdir().unwrap();
    key(folder.path(), "node.key");
    let text = format!(
        "listen = \"0.0.0.0:7720\"\noperator = \"{DID}\"\nsequencer = \"{DID}\"\nconcurrency = 0\n\
         control_plane = \"127.0.0.1:1\"\nidentity = \"no.key\"\nwallet = \"node.key\"\ndelegations = \"none\"\n\
         [[chains]]\nchain = 1\nrpc = \"rpc.example.com\"\npoll_ms = 0\n\
         [[chains]]\nchain = 1\nrpc = \"http://127.0.0.1:1/k\"\nstuck_after = \"soon\"\nmax_fee = 1\n\
         [[chains]]\nchain = 0\n"
    );
    let words = ("COUNTERSIGN_PASSPHRASE", "words");
    let told = mistakes("relayer", folder.path(), &text, &[words]);
    let all = [
        "chains[0].poll_ms",
        "chains[0].rpc",
        "chains[1].chain",
        "chains[1].max_fee",
        "chains[1].stuck_after",
        "chains[2].chain",
        "chains[2].rpc",
        "concurrency",
        "control_plane",
        "delegations",
        "identity",
        "listen",
        "wallet",
    ];
    assert_eq!(fields(&told), all, "{told:#?}");
    for (chains, what) in [
        ("[]", "chains: name at least one"),
        ("1", "chains: not a list of tables"),
        ("[1]", "chains[0]: not a table"),
        ("[]\nlease = 1", "chains: not a list of tables"),
        ("[{ chain = 1 }]", "chains[0].rpc: missing"),
    ] {
        let told = mistakes("relayer", folder.path(), &text, &[words, ("COUNTERSIGN_CHAINS", chains)]);
        let about: Vec<_> = told.iter().filter(|m| m.starts_with("chains")).collect();
        assert_eq!(about, [what], "{chains}");
    }
    let bounds = "[{ chain = 1, rpc = \"http://127.0.0.1:1\", poll_ms = 9, stuck_after = 86401 }, \
                   { chain = 2, rpc = \"http://127.0.0.1:1\", poll_ms = 60001, stuck_after = 86400 }]";
    let told = mistakes("relayer", folder.path(), &text, &[words, ("COUNTERSIGN_CHAINS", bounds)]);
    let about: Vec<_> = told.iter().filter_map(|m| m.strip_prefix("chains: ")).collect();
    let polls = "is not between 10 and 60000";
    let all = [
        format!("poll_ms of eip155:1 {polls}"),
        "stuck_after of eip155:1 is not between 1 and 86400".to_owned(),
        format!("poll_ms of eip155:2 {polls}"),
    ];
    assert_eq!(about, all, "{told:#?}");
    // The variable replaces the file's list.
    let good =
        "[{ chain = 1, rpc = \"https://rpc.example.com/v1?key=k\" }, { chain = 10, rpc = \"http://[::1]:8545\" }]";
    let told = mistakes("relayer", folder.path(), &text, &[words, ("COUNTERSIGN_CHAINS", good)]);
    assert!(!told.iter().any(|m| m.starts_with("chains")), "{told:#?}");
}

#[test]
fn values_that_may_hold_secrets_are_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = "https://rpc.example.com/v2/hunter2";
    let text = format!(
        "rpc = \"{wrong}\"\ncontrol_plane = \"{wrong}\"\ndatabase = \"{wrong}\"\n[[chains]]\nchain = \"{wrong}\"\n\
         rpc = \"ftp://hunter2\"\npoll_ms = \"{wrong}\"\n"
    );
    for role in ["control-plane", "signer", "relayer"] {
        for variables in [&[][..], &[("COUNTERSIGN_CHAINS", wrong)], &[("COUNTERSIGN_CHAINS", "[\"hunter2\"]")]] {
            let told = mistakes(role, folder.path(), &text, variables);
            let url = if role == "control-plane" { "database" } else { "control_plane" };
            assert!(fields(&told).contains(&url), "{told:#?}");
            assert!(!told.iter().any(|m| m.contains("hunter2")), "{told:#?}");
        }
    }
    fs::write(folder.path().join("client.toml"), format!("signers = [\"{wrong}\"]\nrpc = \"{wrong}\"\n")).unwrap();
    let output =
        countersign(&["quorum", "status", "--client", "client.toml"]).current_dir(folder.path()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("signers: ") && text.contains("rpc: ") && !text.contains("hunter2"), "{text}");
}

/// Starts a role with the fields of a file, which need a folder `delegations`, and tells it at once to stop.
fn started(role: &str, folder: &Path, text: &str, variables: &[(&str, &str)]) -> Output {
    let file = folder.join("config.toml");
    fs::write(&file, text).unwrap();
    let mut command = countersign(&["--json", role, "--leashed", "--config", file.to_str().unwrap()]);
    command.envs(variables.iter().copied()).env("COUNTERSIGN_PASSPHRASE", "words");
    command.stdin(Stdio::null()).output().unwrap()
}

/// A signer's fields without its database; its key is one of [`control_plane`]'s.
fn signer() -> String {
    format!(
        "listen = \"127.0.0.1:0\"\ndata = \".\"\ndelegations = \".\"\nidentity = \"issuer.key\"\noperator = \"{DID}\"\n\
         sequencer = \"{DID}\"\ncontrol_plane = \"http://127.0.0.1:1\"\nrpc = \"http://127.0.0.1:1\"\n\
         coordinators = [\"{DID}\"]\nadministrators = [\"{DID}\"]\n"
    )
}

/// A control plane's fields without its database, with keys in the folder.
fn control_plane(folder: &Path) -> String {
    let operator = key(folder, "operator.key");
    key(folder, "sequencer.key");
    key(folder, "issuer.key");
    format!(
        "listen = \"127.0.0.1:0\"\noperator = \"{operator}\"\nsequencer = \"sequencer.key\"\nissuer = \"issuer.key\"\n\
         anchor = \"anchor\"\n"
    )
}

#[test]
fn a_control_planes_database_is_its_field_else_database_url_else_beside_the_anchor() {
    let folder = tempfile::tempdir().unwrap();
    let text = control_plane(folder.path());
    let url = |name: &str| format!("sqlite:{}", folder.path().join(name).display());
    let (field, variable, shared) = (url("field.db"), url("variable.db"), url("shared.db"));
    let with_field = format!("{text}database = \"{field}\"\n");
    let (variable, shared) = (("COUNTERSIGN_DATABASE", &*variable), ("DATABASE_URL", &*shared));
    for (text, variables, made, named_by) in [
        (&with_field, &[variable, shared][..], "variable.db", "COUNTERSIGN_DATABASE"),
        (&with_field, &[shared], "field.db", "the configuration file"),
        (&text, &[shared], "shared.db", "DATABASE_URL"),
        (&text, &[], "log.db", "the default, beside the anchor"),
    ] {
        let output = started("control-plane", folder.path(), text, variables);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{made}: {said}");
        let named = said.lines().find(|line| line.contains("the database is named")).expect("it is logged");
        assert!(named.contains(named_by) && named.contains("SQLite") && !named.contains(".db"), "{named}");
        let is_database = |name: &String| Path::new(name).extension().is_some_and(|e| e == "db");
        let names = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.filter(is_database).collect::<Vec<_>>(), [made]);
        fs::remove_file(folder.path().join(made)).unwrap();
        // The next database is another log's.
        let _ = fs::remove_file(folder.path().join("anchor"));
    }
    let told = mistakes(
        "control-plane",
        folder.path(),
        &text,
        &[("DATABASE_URL", "mysql://u:hunter2@h/d"), ("COUNTERSIGN_PASSPHRASE", "words")],
    );
    assert_eq!(fields(&told), ["DATABASE_URL"], "{told:?}");
    assert!(!told.concat().contains("hunter2"));
    let words = ("COUNTERSIGN_PASSPHRASE", "words");
    let told = mistakes("control-plane", folder.path(), &text, &[("DATABASE_URL", ""), words]);
    assert_eq!(told, ["DATABASE_URL: empty; unset it or give it a value"]);
}

#[test]
fn a_path_begins_at_its_file_and_that_of_a_variable_where_the_command_runs() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run = |role: &str, text: &str, variables: &[(&str, &str)]| {
        let file = folder.path().join("config.toml");
        fs::write(&file, text).unwrap();
        let mut command = countersign(&["--json", role, "--leashed", "--config", file.to_str().unwrap()]);
        command.envs(variables.iter().copied()).env("COUNTERSIGN_PASSPHRASE", "words").stdin(Stdio::null());
        let output = command.current_dir(elsewhere.path()).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    for (role, text) in [("control-plane", control_plane(folder.path())), ("signer", signer())] {
        let in_file = format!("{text}database = \"sqlite:{role}.db\"\n");
        let url = format!("sqlite://{role}.db");
        let variable = ("COUNTERSIGN_DATABASE", &*url);
        for (variables, with, without) in [(&[][..], &folder, &elsewhere), (&[variable], &elsewhere, &folder)] {
            let said = run(role, &in_file, variables);
            let made = |folder: &tempfile::TempDir| folder.path().join(format!("{role}.db")).exists();
            assert!(made(with) && !made(without), "{role} {variables:?}: {said}");
            fs::remove_file(with.path().join(format!("{role}.db"))).unwrap();
            // The next database is another log's.
            let _ = fs::remove_file(folder.path().join("anchor"));
        }
    }
    let in_folder = folder.path().join("no.key").display().to_string();
    for (role, field) in [("control-plane", "issuer"), ("signer", "identity"), ("relayer", "identity")] {
        let text = format!("{field} = \"no.key\"\n");
        let variable = format!("COUNTERSIGN_{}", field.to_uppercase());
        for (variables, place) in [(&[][..], &*in_folder), (&[(&*variable, "no.key")], "no.key")] {
            let said = run(role, &text, variables);
            assert!(said.contains(&format!("{field}: cannot read {place}: ")), "{role} {variables:?}: {said}");
        }
    }
}

#[test]
fn no_file_of_a_control_plane_is_written_over_another() {
    let folder = tempfile::tempdir().unwrap();
    let text = control_plane(folder.path()).replace("anchor = \"anchor\"\n", "");
    fs::create_dir(folder.path().join("sub")).unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let words = ("COUNTERSIGN_PASSPHRASE", "words");
    let told = |anchor: &str, variables: &[(&str, &str)]| {
        let variables = [&[words], variables].concat();
        mistakes("control-plane", folder.path(), &format!("{text}anchor = \"{anchor}\"\n"), &variables)
    };
    let url = |name: &str| format!("sqlite:{}", path(name));
    let (database, shared) = ("COUNTERSIGN_DATABASE", "DATABASE_URL");
    let same = |setting: &str, other: &str| vec![format!("{setting}: the same file as {other}; each needs its own")];
    // The default is beside the anchor.
    assert_eq!(told("log.db", &[]), same("database", "anchor"));
    assert_eq!(told("a", &[(database, &*url("sub/../a"))]), same("database", "anchor"));
    assert_eq!(told("sub/../a", &[(shared, &*url("a"))]), same("DATABASE_URL", "anchor"));
    assert_eq!(told("a", &[(database, &*url("issuer.key"))]), same("database", "issuer"));
    assert_eq!(told("sequencer.key", &[]), same("anchor", "sequencer"));
    std::os::unix::fs::symlink(path("issuer.key"), path("link")).unwrap();
    assert_eq!(told("link", &[]), same("anchor", "issuer"));
    fs::write(path("passphrase"), "words").unwrap();
    let file = path("passphrase");
    assert_eq!(told("passphrase", &[("COUNTERSIGN_PASSPHRASE_FILE", &file)]), same("anchor", "passphrase_file"));
}

#[test]
fn a_database_that_is_away_is_exit_code_3() {
    let folder = tempfile::tempdir().unwrap();
    let text = control_plane(folder.path());
    // Port 1 is reserved; nothing listens there.
    let away = ("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:1/d");
    let output = started("control-plane", folder.path(), &text, &[away]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(3) && said.contains("the database is unavailable"), "{said}");
    assert!(said.contains("PostgreSQL") && said.contains("\"DATABASE_URL\""), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    let output = started("signer", folder.path(), &format!("{}database = \"{}\"\n", signer(), away.1), &[]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(3) && !said.contains("hunter2"), "{said}");
}

#[test]
fn an_address_that_others_may_reach_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    // Port 1 is reserved: nothing listens there, and both end at once.
    let away = "postgres://127.0.0.1:1/d";
    let plane = format!("{}database = \"{away}\"\n", control_plane(folder.path()));
    let signer = format!("{}database = \"{away}\"\n", signer());
    for (role, text) in [("control-plane", plane), ("signer", signer)] {
        for (listen, is_told) in [("127.0.0.1:0", false), ("[::1]:0", false), ("0.0.0.0:0", true)] {
            let output = started(role, folder.path(), &text, &[("COUNTERSIGN_LISTEN", listen)]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(3), "{role} {listen}: {said}");
            assert_eq!(said.contains("other machines may reach this address"), is_told, "{role} {listen}: {said}");
        }
    }
}

#[test]
fn a_log_that_another_process_leads_is_exit_code_3() {
    let folder = tempfile::tempdir().unwrap();
    let text = control_plane(folder.path());
    let file = folder.path().join("leader.toml");
    fs::write(&file, &text).unwrap();
    let mut command = countersign(&["control-plane", "--leashed", "--config", file.to_str().unwrap()]);
    command.env("COUNTERSIGN_PASSPHRASE", "words").stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut leader = command.spawn().unwrap();
    let mut log = BufReader::new(leader.stderr.take().unwrap()).lines();
    assert!(log.any(|line| line.unwrap().contains("the control plane listens")));
    let another = folder.path().join("another-anchor");
    let (holder, anchor) = (("COUNTERSIGN_HOLDER", "another"), ("COUNTERSIGN_ANCHOR", another.to_str().unwrap()));
    let url = format!("sqlite:{}", folder.path().join("log.db").display());
    for (variables, why) in [
        (&[holder, anchor, ("COUNTERSIGN_DATABASE", &url)][..], "another process leads"),
        (&[holder][..], "another process runs with the anchor"),
        (&[][..], "another process runs with the anchor"),
    ] {
        let follower = started("control-plane", folder.path(), &text, variables);
        let said = String::from_utf8_lossy(&follower.stderr).into_owned();
        assert!(follower.status.code() == Some(3) && said.contains(why), "{variables:?}: {said}");
    }
    drop(leader.stdin.take());
    assert!(log.all(|line| line.is_ok()) && leader.wait().unwrap().success());
}

/// The names that a role knows, as it says of one that it does not know.
fn known(told: &[String], place: &str) -> BTreeSet<String> {
    let start = format!("{place}unheard_of: unknown field; known are ");
    let names = told.iter().find_map(|m| m.strip_prefix(&start)).unwrap_or_else(|| panic!("{told:#?}"));
    names.split(", ").map(str::to_owned).collect()
}

#[test]
fn the_help_of_a_role_lists_every_field() {
    let folder = tempfile::tempdir().unwrap();
    for role in ["control-plane", "signer", "relayer"] {
        let text = "unheard_of = 1\n[[chains]]\nunheard_of = 1\n";
        let told = mistakes(role, folder.path(), text, &[]);
        let mut all = known(&told, "");
        if role == "relayer" {
            all.extend(known(&told, "chains[0].").into_iter().map(|name| format!("chains.{name}")));
        }
        let help = String::from_utf8(run(&[role, "--help"]).stdout).unwrap();
        let (_, fields) = help.split_once("Fields of the configuration file").unwrap();
        let rows = fields.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
        let shown: BTreeSet<String> = rows.map(|row| row.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(shown, all, "{help}");
        assert!(help.contains("COUNTERSIGN_LISTEN"));
    }
    assert!(String::from_utf8(run(&["control-plane", "--help"]).stdout).unwrap().contains("DATABASE_URL"));
}

#[test]
fn the_help_lists_every_field_of_the_clients_settings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("client.toml");
    fs::write(&file, "unheard_of = 1\n").unwrap();
    let told = run(&[
        "status",
        "bafyreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
        "--client",
        file.to_str().unwrap(),
    ]);
    assert_eq!(told.status.code(), Some(2));
    let told = String::from_utf8(told.stderr).unwrap();
    let told: Vec<String> = told.lines().filter_map(|line| line.strip_prefix("  - ")).map(str::to_owned).collect();
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    let (_, fields) = help.split_once("Client settings, the file of --client").unwrap();
    let rows = fields.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.strip_prefix("  "));
    let shown: BTreeSet<String> = rows.map(|row| row.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(shown, known(&told, ""), "{help}");
    assert!(help.contains("COUNTERSIGN_KEYS") && help.contains("COUNTERSIGN_CLIENT"));
}

#[test]
fn a_line_that_is_not_toml_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plane.toml");
    fs::write(&file, "listen = \"127.0.0.1:1\"\ndatabase = \"postgres://u:hunter2@h/d\n").unwrap();
    let output = run(&["control-plane", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("not TOML in line 2") && !text.contains("hunter2"), "{text}");
}

#[test]
fn variables_override_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let variables = [("COUNTERSIGN_LISTEN", "somewhere")];
    let told = mistakes("relayer", folder.path(), "listen = \"127.0.0.1:1\"\n", &variables);
    assert!(told.iter().any(|m| m.ends_with("not \"somewhere\"")), "{told:#?}");
}

#[test]
fn a_variable_that_no_field_has_is_a_mistake_of_a_service() {
    for role in ["control-plane", "signer", "relayer"] {
        let mut command = countersign(&[role]);
        command.env("COUNTERSIGN_LISTENN", "127.0.0.1:1").env("COUNTERSIGN_TESTS", "all");
        let output = command.env("COUNTERSIGN_CLIENT", "client.toml").output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("COUNTERSIGN_LISTENN: unknown variable"), "{text}");
        assert!(!text.contains("COUNTERSIGN_TESTS") && !text.contains("COUNTERSIGN_CLIENT"), "{text}");
    }
}

#[test]
fn variables_that_kubernetes_sets_for_services_are_no_settings() {
    let folder = tempfile::tempdir().unwrap();
    let told = |role: &str, variables: &[(&str, &str)]| {
        let told = mistakes(role, folder.path(), "", variables);
        told.into_iter().filter(|m| m.contains("unknown variable")).collect::<Vec<_>>()
    };
    for (ip, url) in [("10.96.0.7", "10.96.0.7"), ("fd00:10:96::7", "[fd00:10:96::7]")] {
        let (tcp, dns) = (format!("tcp://{url}:8080"), format!("udp://{url}:53"));
        // Of services called countersign, countersign-control-plane and so on.
        for service in ["", "_CONTROL_PLANE", "_LISTEN", "_SERVICE", "_PORT"].map(|s| format!("COUNTERSIGN{s}")) {
            let links = [
                ("SERVICE_HOST", ip),
                ("SERVICE_PORT", "8080"),
                ("SERVICE_PORT_HTTP", "8080"),
                ("SERVICE_PORT_METRICS_AND_HEALTH", "8080"),
                ("SERVICE_PORT_8080_TCP", "8080"),
                ("SERVICE_PORT_PORT", "8080"),
                ("PORT", &tcp),
                ("PORT_8080_TCP", &tcp),
                ("PORT_8080_TCP_PROTO", "tcp"),
                ("PORT_8080_TCP_PORT", "8080"),
                ("PORT_8080_TCP_ADDR", ip),
                ("PORT_53_UDP", &dns),
                ("PORT_53_UDP_PROTO", "udp"),
            ];
            let links: Vec<_> = links.map(|(name, value)| (format!("{service}_{name}"), value)).into();
            let links: Vec<_> = links.iter().map(|(name, value)| (&**name, *value)).collect();
            for role in ["control-plane", "signer", "relayer"] {
                assert_eq!(told(role, &links), [""; 0], "{role}");
            }
        }
    }
    // Whoever means a setting gives it a setting's value, or another name.
    for (name, value) in [
        ("COUNTERSIGN_PORT", "8080"),
        ("COUNTERSIGN_PORT", "127.0.0.1:8080"),
        ("COUNTERSIGN_PORT", "tcp://control-plane:8080"),
        ("COUNTERSIGN_PORT", "http://10.96.0.7:8080"),
        ("COUNTERSIGN_LISTEN_PORT", "8080"),
        ("COUNTERSIGN_PORTS", "tcp://10.96.0.7:8080"),
        ("COUNTERSIGN_LISTENPORT", "tcp://10.96.0.7:8080"),
        ("COUNTERSIGN_HOST", "10.96.0.7"),
        ("COUNTERSIGN_CONTROLPLANE", "tcp://10.96.0.7:8080"),
        ("COUNTERSIGN_SERVICE", "10.96.0.7"),
        ("COUNTERSIGN_SERVICE_HOST", "control-plane"),
        ("COUNTERSIGN_SERVICE_PORT", "0"),
        ("COUNTERSIGN_SERVICE_PORT", "http://10.96.0.7:8080"),
        ("COUNTERSIGN_SERVICE_PORT_", "8080"),
        ("COUNTERSIGN_PORT_8080_TCP", "udp://10.96.0.7:8080"),
        ("COUNTERSIGN_PORT_8080_TCP", "tcp://10.96.0.7:8081"),
        ("COUNTERSIGN_PORT_8080_TCP_PORT", "8081"),
        ("COUNTERSIGN_PORT_8080_TCP_PROTO", "udp"),
        ("COUNTERSIGN_PORT_8080_ICMP_PROTO", "icmp"),
        ("COUNTERSIGN_PORT_8080_TCP_ADDR", "control-plane"),
    ] {
        assert_eq!(told("relayer", &[(name, value)]).len(), 1, "{name}={value}");
    }
}

#[test]
fn a_missing_configuration_file_is_said_to_be_missing() {
    let output = run(&["control-plane", "--config", "/no/such/file.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("there is no such file"));
}
