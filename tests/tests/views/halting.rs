//! A signer that is shown two logs of the same key halts for good, whatever its disk does meanwhile.

use crate::stage::Stage;
use client::Ambient;
use log::{Checkpoint, Hash};
use messages::{CommitRequest, RefusalCode, paths};
use relayer::{Patience, gather};
use rusqlite::Connection;
use std::{fs, time::Duration};
use storage::{Evidence, Storage};

const PATIENCE: Duration = Duration::from_secs(30);

impl Stage {
    /// What the log's key has signed of another log, as long as this one.
    fn fork(&self, root: u8) -> String {
        self.fork_beyond(root, 0)
    }

    /// What the log's key has signed of another log, which is longer than this one.
    fn fork_beyond(&self, root: u8, more: u64) -> String {
        let origin = "log.example.com/test".parse().unwrap();
        let (size, root) = (u64::try_from(self.log.len()).unwrap() + more, Hash::from_bytes([root; 32]));
        let forked = Checkpoint { origin, size, root, time: Ambient::system().now() };
        forked.sign(&self.world.sequencer.key).to_string()
    }

    /// Shows a note to one signer, which refuses.
    async fn show(&self, at: usize, note: &str) -> RefusalCode {
        let body = CommitRequest { subject: self.subject(), min_seq: 0, checkpoints: vec![note.to_owned()] };
        match self.signers[at].ask::<_, messages::CommitReply>(paths::SESSION_COMMIT, &body, PATIENCE).await {
            Err(client::ClientError::Refused(refusal)) => refusal.code,
            other => panic!("{other:?}"),
        }
    }

    /// Runs SQL past a signer, as somebody with access to its database would.
    fn change(&self, at: usize, sql: &str) {
        let connection = Connection::open(self.folders[at].path().join("log.db")).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    async fn evidence(&self, at: usize) -> Vec<Evidence> {
        let database = format!("sqlite:{}", self.folders[at].path().join("log.db").display());
        let read = move || Storage::open(&database).unwrap().evidence(None, 10).unwrap();
        tokio::task::spawn_blocking(read).await.unwrap()
    }

    /// Waits until a signer's readiness says, or does not say, this.
    async fn readiness(&self, at: usize, part: &str, says: bool) -> String {
        let url = format!("{}/readyz", self.address(at));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let looking = async {
            loop {
                let answer = http.get(&url).send().await.unwrap();
                let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
                assert_eq!(status, 503, "{text}");
                if text.contains(part) == says {
                    return text;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("{part}: {says}"))
    }
}

/// Nothing more is written to the table, as on a full disk, until [`ROOM`].
const FULL: &str = "create trigger full before insert on evidence begin select raise(abort, 'the disk is full'); end";
/// The reason is written, and nothing more.
const FULL_SOON: &str = "create trigger full before insert on evidence when new.kind <> 'halt'
    begin select raise(abort, 'the disk is full'); end";
const ROOM: &str = "drop trigger full";
const FORGETS: &str = "a restart would forget it";
const WAITS: &str = "to disk yet";
const UNPROVEN: &str = "what shows it was never written to disk";

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_that_is_shown_again_and_again_is_one_piece_of_evidence() {
    let mut stage = Stage::set().await;
    let note = stage.fork(5);
    for _ in 0..3 {
        assert_eq!(stage.show(1, &note).await, RefusalCode::Diverged);
    }
    assert_eq!(stage.show(1, &stage.fork(6)).await, RefusalCode::Diverged, "and another fork");
    let reason = stage.status(1).await.halted.unwrap();
    stage.stop(1).await;
    let evidence = stage.evidence(1).await;
    assert_eq!(evidence.len(), 2, "{evidence:?}");
    assert!(evidence.iter().any(|e| e.body == note.as_bytes()), "{evidence:?}");
    for _ in 0..2 {
        stage.start(1).await;
        let status = stage.status(1).await;
        assert_eq!(status.halted.as_ref(), Some(&reason));
        assert!(status.checkpoints.contains(&note), "{status:?}");
        assert_eq!(stage.show(1, &note).await, RefusalCode::Diverged);
        let said = stage.readiness(1, &reason, true).await;
        assert!(!said.contains(WAITS) && !said.contains(UNPROVEN), "{said}");
        stage.stop(1).await;
    }
    assert_eq!(stage.evidence(1).await, evidence);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_is_written_when_the_disk_has_room_again() {
    let mut stage = Stage::set().await;
    // Neither the anchor nor the database can be written.
    let draft = stage.folders[1].path().join("anchor.draft");
    fs::create_dir(&draft).unwrap();
    stage.change(1, FULL);
    let note = stage.fork(5);
    assert_eq!(stage.show(1, &note).await, RefusalCode::Diverged);
    let said = stage.readiness(1, FORGETS, true).await;
    assert!(said.contains("halted: the log signed another root"), "{said}");
    stage.change(1, ROOM);
    fs::remove_dir(&draft).unwrap();
    stage.readiness(1, WAITS, false).await;
    let reason = stage.status(1).await.halted.unwrap();
    stage.stop(1).await;
    assert!(stage.evidence(1).await.iter().any(|e| e.body == note.as_bytes()));
    stage.start(1).await;
    assert_eq!(stage.status(1).await.halted, Some(reason));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_that_the_database_cannot_take_is_in_the_anchor() {
    let mut stage = Stage::set().await;
    stage.change(1, FULL);
    let note = stage.fork(5);
    assert_eq!(stage.show(1, &note).await, RefusalCode::Diverged);
    let said = stage.readiness(1, "not all of it can be written to disk yet", true).await;
    assert!(!said.contains(FORGETS), "{said}");
    stage.restarts_unproven(1, &note, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_of_which_the_database_has_only_the_reason_is_not_whole() {
    let mut stage = Stage::set().await;
    stage.change(1, FULL_SOON);
    let note = stage.fork(5);
    assert_eq!(stage.show(1, &note).await, RefusalCode::Diverged);
    stage.readiness(1, "not all of it can be written to disk yet", true).await;
    stage.restarts_unproven(1, &note, 1).await;
}

impl Stage {
    /// A signer that could write so many pieces of evidence, and not what shows its halt, is stopped and has room again.
    async fn restarts_unproven(&mut self, at: usize, note: &str, pieces: usize) {
        let reason = self.status(at).await.halted;
        assert!(reason.is_some());
        self.stop(at).await;
        self.change(at, ROOM);
        assert_eq!(self.evidence(at).await.len(), pieces);
        for _ in 0..2 {
            self.start(at).await;
            let status = self.status(at).await;
            assert_eq!(status.halted, reason);
            assert!(!status.checkpoints.iter().any(|shown| shown == note), "it is not there");
            assert_eq!(self.commit(at, self.subject()).await.unwrap_err().code, RefusalCode::Diverged);
            self.readiness(at, UNPROVEN, true).await;
            self.stop(at).await;
        }
        // What shows it is taken when it is shown again.
        self.start(at).await;
        assert_eq!(self.show(at, note).await, RefusalCode::Diverged);
        self.readiness(at, UNPROVEN, false).await;
        self.stop(at).await;
        let evidence = self.evidence(at).await;
        assert!(evidence.len() == 2 && evidence.iter().any(|e| e.body == note.as_bytes()), "{evidence:?}");
        self.start(at).await;
        let status = self.status(at).await;
        assert_eq!(status.halted, reason);
        assert!(status.checkpoints.iter().any(|shown| shown == note), "{status:?}");
        let said = self.readiness(at, "halted", true).await;
        assert!(!said.contains(WAITS) && !said.contains(UNPROVEN), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signer_that_was_halted_shows_others_the_fork_after_a_restart() {
    let mut stage = Stage::set().await;
    // Neither is of a log that anybody here has.
    let both = [5, 6].map(|root| stage.fork_beyond(root, 1));
    assert_eq!(stage.show(1, &both[0]).await, RefusalCode::Behind);
    assert_eq!(stage.show(1, &both[1]).await, RefusalCode::Diverged);
    stage.stop(1).await;
    stage.start(1).await;
    let status = stage.status(1).await;
    assert!(both.iter().all(|note| status.checkpoints.contains(note)), "{status:?}");
    // A relayer that knows nothing yet asks it, and tells the others.
    let panel = stage.panel();
    let patience = Patience { request: PATIENCE, hurry: Duration::from_millis(250), total: PATIENCE };
    let telling = async {
        loop {
            panel.survey(PATIENCE).await;
            let gathered = gather(&panel, &stage.subject(), stage.message(), 0, patience).await;
            assert!(gathered.is_err() || panel.horizon.as_ref().is_some_and(|h| h.fork().is_none()));
            if stage.status(0).await.halted.is_some() && stage.status(2).await.halted.is_some() {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(2), telling).await.expect("the others halt, too");
    assert!(panel.horizon.is_some_and(|h| h.fork().is_some()));
}
