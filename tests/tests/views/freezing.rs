//! A freeze that reaches a signer directly stops it, whatever the log says, and no longer than until the log governs it.

use crate::stage::Stage;
use countersign_tests::Signed;
use futures_util::future::join_all;
use ledger::{Scope, args};
use messages::{RefusalCode, paths};
use serde_json::Value;
use std::{fs, path::PathBuf, time::Duration};

impl Stage {
    fn to_freeze(&self) -> Signed {
        let set = args::Set { scope: Scope::All, reason: "stop".parse().unwrap() };
        self.world.by(&self.world.admin, "/freeze/set", &set)
    }

    /// Hands a freeze to one signer and gives the status of its answer.
    async fn hand(&self, at: usize, freeze: &Signed) -> u16 {
        let url = format!("{}{}", self.address(at), paths::FREEZE);
        let answer = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .post(url)
            .body(freeze.container())
            .send()
            .await
            .unwrap();
        answer.status().as_u16()
    }

    /// Shows one signer the whole log and waits until it has it.
    async fn show_all(&self, at: usize) {
        self.planes[at].show(&self.log);
        self.until(at, |status| status.head == Some(self.last()) && status.fresh).await;
    }

    /// As if what a stopped signer holds had been set twenty minutes earlier.
    fn let_expire(&self, at: usize) {
        let file = self.folders[at].path().join("freezes.json");
        let mut held: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let end = &mut held[0]["expires_at"];
        *end = (end.as_u64().unwrap() - 1_200).into();
        fs::write(file, held.to_string()).unwrap();
    }

    /// Waits until the file of a signer keeps nothing any more: the log's key has signed for the entries.
    async fn let_go(&self, at: usize) {
        let file = self.folders[at].path().join("freezes.json");
        let looking = async {
            while fs::read(&file).unwrap() != b"[]" {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), looking).await.expect("nothing is kept");
    }

    /// A copy of what a stopped signer has stored of the log, once its last connection is closed, too.
    async fn copy_database(&self, at: usize) -> Vec<(PathBuf, Vec<u8>)> {
        let folder = self.folders[at].path();
        let closing = async {
            while folder.join("log.db-wal").exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(1), closing).await.expect("the database is closed");
        let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let is_database = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("log.db");
        files.filter(is_database).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    /// Puts such a copy in the place of what there is.
    async fn put_database_back(&self, at: usize, copy: Vec<(PathBuf, Vec<u8>)>) {
        for (path, _) in self.copy_database(at).await {
            fs::remove_file(path).unwrap();
        }
        for (path, bytes) in copy {
            fs::write(path, bytes).unwrap();
        }
    }

    async fn is_frozen(&self, at: usize) -> bool {
        match self.commit(at, self.subject()).await {
            Ok(_) => false,
            Err(refusal) => refusal.code == RefusalCode::Frozen,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_that_the_log_never_takes_holds_until_it_takes_one_like_it() {
    let mut stage = Stage::set().await;
    assert_eq!(stage.hand(0, &stage.to_freeze()).await, 200);
    assert!(stage.is_frozen(0).await);
    stage.stop(0).await;
    stage.start(0).await;
    stage.grow();
    stage.show_all(0).await;
    assert!(stage.is_frozen(0).await, "a restart and other entries change nothing");

    stage.stop(0).await;
    stage.let_expire(0);
    stage.start(0).await;
    stage.until(0, |status| status.fresh).await;
    assert!(stage.is_frozen(0).await, "nor that the log cannot take it any more");
    stage.freeze();
    stage.show_all(0).await;
    stage.until(0, |status| status.frozen.is_empty()).await;
    assert!(stage.is_frozen(0).await);
    stage.lift();
    stage.show_all(0).await;
    stage.until(0, |status| status.frozen.is_empty()).await;
    assert!(!stage.is_frozen(0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_that_a_proxy_did_not_pass_on_is_sent_to_the_log_again_after_a_restart() {
    let mut stage = Stage::set().await;
    let freeze = stage.to_freeze();
    assert_eq!(stage.hand(0, &freeze).await, 200);
    let before = stage.planes[0].sent(1).await.len();
    stage.stop(0).await;
    stage.start(0).await;
    let sent = stage.planes[0].sent(before + 1).await;
    assert!(sent.iter().all(|body| *body == freeze.container()));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_freezes_of_one_scope_the_log_takes_both_and_one_lift_ends_them() {
    let mut stage = Stage::set().await;
    let [first, second] = [stage.to_freeze(), stage.to_freeze()];
    for freeze in [&first, &second] {
        assert_eq!(stage.hand(0, freeze).await, 200);
    }
    stage.append(&first);
    stage.show_all(0).await;
    stage.until(0, |status| status.frozen.len() == 1).await;
    stage.append(&second);
    stage.lift();
    stage.show_all(0).await;
    stage.until(0, |status| status.frozen.is_empty()).await;
    assert!(!stage.is_frozen(0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_is_taken_though_the_log_has_one_that_may_have_been_lifted() {
    let mut stage = Stage::set().await;
    stage.freeze();
    stage.show_all(0).await;
    // What has lifted it by now is kept back.
    assert_eq!(stage.hand(0, &stage.to_freeze()).await, 200);
    stage.lift();
    stage.show_all(0).await;
    assert!(stage.is_frozen(0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_freeze_that_is_shown_with_its_lift_releases_no_later_one() {
    let mut stage = Stage::set().await;
    stage.freeze();
    stage.lift();
    assert_eq!(stage.hand(0, &stage.to_freeze()).await, 200);
    stage.show_all(0).await;
    assert!(stage.is_frozen(0).await);
    stage.stop(0).await;
    stage.start(0).await;
    stage.until(0, |status| status.fresh).await;
    assert!(stage.is_frozen(0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_log_took_over_is_not_held_again_after_a_crash() {
    let mut stage = Stage::set().await;
    let freeze = stage.to_freeze();
    assert_eq!(stage.hand(0, &freeze).await, 200);
    let file = stage.folders[0].path().join("freezes.json");
    let held = fs::read(&file).unwrap();
    stage.append(&freeze);
    stage.lift();
    stage.show_all(0).await;
    stage.let_go(0).await;
    stage.stop(0).await;
    // As if it had been killed before it wrote that.
    fs::write(&file, held).unwrap();
    stage.start(0).await;
    stage.until(0, |status| status.frozen.is_empty()).await;
    stage.until(0, |status| status.fresh).await;
    assert!(!stage.is_frozen(0).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_freeze_that_comes_after_its_entry_outlasts_an_entry_that_nobody_has_signed_for() {
    let mut stage = Stage::set().await;
    stage.stop(0).await;
    let before = stage.copy_database(0).await;
    stage.start(0).await;
    stage.until(0, |status| status.fresh).await;
    let freeze = stage.to_freeze();
    let longer = stage.aside(|stage| stage.append(&freeze));
    stage.planes[0].sign(false);
    stage.planes[0].show(&longer);
    stage.until(0, |status| status.head == Some(stage.last() + 1)).await;
    assert!(stage.is_frozen(0).await);
    for _ in 0..2 {
        assert_eq!(stage.hand(0, &freeze).await, 200);
    }
    assert!(stage.status(0).await.frozen.is_empty(), "the log governs it");

    stage.stop(0).await;
    stage.put_database_back(0, before).await;
    // The control plane denies the entry now, and nothing that it has signed proves that it lies.
    stage.planes[0].show(&stage.log);
    stage.planes[0].sign(true);
    stage.start(0).await;
    stage.until(0, |status| status.fresh).await;
    assert!(stage.is_frozen(0).await);
    stage.append(&freeze);
    stage.lift();
    stage.show_all(0).await;
    stage.until(0, |status| status.frozen.is_empty()).await;
    assert!(!stage.is_frozen(0).await);
    assert_eq!(stage.hand(0, &freeze).await, 200);
    stage.let_go(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_freeze_does_not_outlast_its_lift() {
    let mut stage = Stage::set().await;
    let freeze = stage.to_freeze();
    assert_eq!(stage.hand(0, &freeze).await, 200);
    stage.append(&freeze);
    stage.lift();
    let flood = join_all((0..64).map(|_| stage.hand(0, &freeze)));
    let (statuses, ()) = tokio::join!(flood, stage.show_all(0));
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    stage.until(0, |status| status.frozen.is_empty()).await;
    assert!(!stage.is_frozen(0).await);
}
