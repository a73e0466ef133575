//! Runs the binary, alone or as a whole system on free ports.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "each test uses its part, ends where it fails and waits for real processes"
)]

use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Far longer than anything takes that does happen, on any machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_countersign");

/// A command of the binary, deaf to the variables of whoever runs the tests.
pub fn countersign(arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars() {
        if name.starts_with("COUNTERSIGN_") || name == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// Runs a command to its end.
pub fn run(arguments: &[&str]) -> Output {
    countersign(arguments).output().unwrap()
}

/// The last line of JSON on standard output.
pub fn json(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap_or_else(|e| {
        panic!("no JSON ({e}): {text}{}", String::from_utf8_lossy(&output.stderr));
    })
}

/// Looks until `check` holds, each time by a process that takes its own time.
pub fn until(what: &str, check: impl Fn() -> bool) {
    let begin = Instant::now();
    while !check() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
    }
}

/// A whole system in one folder: `countersign dev` on free ports. Ends when dropped.
pub struct System {
    dev: Child,
    folder: PathBuf,
    /// What `dev.json` says.
    pub record: Value,
}

impl System {
    /// Starts the system in `folder` and waits until it is ready.
    pub fn start(folder: &Path) -> Self {
        let folder_text = folder.to_str().unwrap();
        let mut command = countersign(&["--json", "dev", "--folder", folder_text]);
        let mut dev = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut record = None;
        for line in BufReader::new(dev.stdout.take().unwrap()).lines() {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if let Some(ready) = line.get("ready") {
                record = Some(ready.clone());
                break;
            }
        }
        let Some(record) = record else {
            let output = dev.wait_with_output().unwrap();
            panic!("dev ended: {}", String::from_utf8_lossy(&output.stderr));
        };
        Self { dev, folder: folder.to_owned(), record }
    }

    /// Runs a command of the binary against the system, with JSON output.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let client = self.folder.join("client.toml");
        let mut command = countersign(&["--json"]);
        command.args(arguments).env("COUNTERSIGN_CLIENT", client).output().unwrap()
    }

    /// Interrupts the system and waits for its end.
    pub fn stop(mut self) {
        let id = self.dev.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        assert!(self.dev.wait().unwrap().success());
    }

    /// Kills the system's first process as a crash would.
    pub fn crash(mut self) {
        self.dev.kill().unwrap();
        self.dev.wait().unwrap();
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // Its children end with it.
        let _ = self.dev.kill();
        let _ = self.dev.wait();
    }
}
