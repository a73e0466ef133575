//! Whatever is changed in the database while nobody looks is found at start, with its table and its first bad place.

use crate::fixture::{Node, config, database, slug};
use countersign_control_plane::{Error, Server};
use rusqlite::Connection;
use storage::{OpenError, TriggerFault};

/// Runs `sql` on a stopped server's database, guards down, and says what start-up then finds.
async fn after(sql: &str) -> (&'static str, u64) {
    let node = Node::ready(10_000).await;
    let proposal = node.world.propose(500);
    assert_eq!(node.propose(&proposal).await.0, 201);
    let denied = node.world.propose(5_000);
    assert_eq!(node.propose(&denied).await.0, 201);
    let cancel = ledger::args::Cancel { proposal: proposal.cid(), reason: "test".parse().unwrap() };
    assert_eq!(
        node.post("/v1/proposals", node.world.by(&node.world.admin, "/proposal/cancel", &cancel).container()).await.0,
        201
    );
    let (world, folder) = node.stop().await;
    {
        let connection = Connection::open(database(&folder)).unwrap();
        let guards: Vec<String> = connection
            .prepare("select name from sqlite_master where type = 'trigger'")
            .unwrap()
            .query_map([], |r| r.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        connection.execute_batch("pragma foreign_keys = off").unwrap();
        let definitions: Vec<String> = connection
            .prepare("select sql from sqlite_master where type = 'trigger'")
            .unwrap()
            .query_map([], |r| r.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        for guard in guards {
            connection.execute_batch(&format!("drop trigger {guard}")).unwrap();
        }
        connection.execute_batch(sql).unwrap();
        for definition in definitions {
            connection.execute_batch(&definition).unwrap();
        }
    }
    match Server::start(config(&world, &folder)).await {
        Err(Error::Verify(error)) => error.place().unwrap_or_else(|| panic!("no place in {error:?}")),
        other => panic!("{sql}: {other:?}"),
    }
}

// Entries 0..=7 are the setup, 8 is an approved proposal, 9 a denied one, 10 the cancellation of 8.

#[tokio::test]
async fn an_entry_is_changed() {
    assert_eq!(
        after("update entries set bytes = cast(substr(bytes, 1, length(bytes) - 1) || x'00' as blob) where seq = 5")
            .await,
        ("entries", 5)
    );
}

#[tokio::test]
async fn a_leaf_hash_is_changed() {
    assert_eq!(after("update entries set leaf = zeroblob(32) where seq = 4").await, ("entries", 4));
}

#[tokio::test]
async fn an_entry_is_missing() {
    assert_eq!(after("delete from entries where seq = 6").await, ("entries", 6));
}

#[tokio::test]
async fn two_entries_are_swapped() {
    let swap = "update entries set seq = 100 where seq = 5; update entries set seq = 5 where seq = 6; \
                update entries set seq = 6 where seq = 100; update tokens set seq = 100 where seq = 5; \
                update tokens set seq = 5 where seq = 6; update tokens set seq = 6 where seq = 100;";
    assert_eq!(after(swap).await, ("entries", 5));
}

#[tokio::test]
async fn the_tail_is_cut_and_the_head_reset() {
    let cut = "delete from mentions where seq = 10; update proposals set status = 'approved', updated = 8 where seq = 8; \
               delete from tokens where seq = 10; delete from checkpoints where size > 10; delete from entries where seq = 10; \
               update head set seq = 9, leaf = (select leaf from entries where seq = 9);";
    assert_eq!(after(cut).await, ("entries", 10));
}

#[tokio::test]
async fn the_head_is_changed() {
    assert_eq!(after("update head set leaf = zeroblob(32)").await, ("head", 10));
}

#[tokio::test]
async fn a_token_is_changed() {
    let sql = "update tokens set bytes = cast(substr(bytes, 1, length(bytes) - 1) || x'00' as blob) where seq = 4 and ordinal = 0";
    assert_eq!(after(sql).await, ("tokens", 4));
}

#[tokio::test]
async fn a_token_is_missing() {
    assert_eq!(after("delete from tokens where seq = 8 and ordinal = 1").await, ("tokens", 8));
}

#[tokio::test]
async fn a_token_is_introduced_elsewhere() {
    let (table, seq) = after("update tokens set seq = 9, ordinal = 7 where seq = 8 and ordinal = 2").await;
    assert_eq!((table, seq), ("tokens", 8));
}

#[tokio::test]
async fn a_token_nobody_named_is_there() {
    let sql = "insert into tokens (cid, seq, ordinal, bytes) values (zeroblob(32), 3, 9, x'00')";
    assert_eq!(after(sql).await, ("tokens", 3));
}

#[tokio::test]
async fn a_proposal_has_another_status() {
    assert_eq!(after("update proposals set status = 'approved' where seq = 9").await, ("proposals", 9));
}

#[tokio::test]
async fn a_proposal_lacks_its_last_change() {
    assert_eq!(after("update proposals set status = 'approved', updated = 8 where seq = 8").await, ("proposals", 10));
}

#[tokio::test]
async fn a_proposal_has_another_total() {
    assert_eq!(after("update proposals set total = 1 where seq = 8").await, ("proposals", 10));
}

#[tokio::test]
async fn a_proposal_is_missing() {
    assert_eq!(after("delete from proposals where seq = 9").await, ("proposals", 9));
}

#[tokio::test]
async fn a_mention_is_missing() {
    assert_eq!(after("delete from mentions where seq = 10").await, ("mentions", 10));
}

#[tokio::test]
async fn a_mention_is_made_up() {
    assert_eq!(after("insert into mentions values (zeroblob(32), 2, '/order/open')").await, ("mentions", 2));
}

#[tokio::test]
async fn a_checkpoint_is_changed() {
    let sql = "update checkpoints set note = replace(note, 'time 1', 'time 2') where size = 11";
    assert_eq!(after(sql).await, ("checkpoints", 11));
}

#[tokio::test]
async fn a_checkpoint_is_beyond_the_log() {
    let sql = "insert into checkpoints select 99, 4000, note, chain from checkpoints where size = 11";
    assert_eq!(after(sql).await, ("checkpoints", 4000));
}

#[tokio::test]
async fn a_trigger_is_missing() {
    let (world, folder) = Node::ready(10_000).await.stop().await;
    Connection::open(database(&folder)).unwrap().execute_batch("drop trigger tokens_refuse_update").unwrap();
    let refused = Server::start(config(&world, &folder)).await.unwrap_err();
    let Error::Open(OpenError::Trigger { table, trigger, fault }) = &refused else { panic!("{refused:?}") };
    assert_eq!((table.as_str(), trigger.as_str(), *fault), ("tokens", "tokens_refuse_update", TriggerFault::Missing));
    assert!(refused.to_string().contains("trigger tokens_refuse_update is missing"), "{refused}");
}

/// Runs SQL on a database that is in use, and waits until the process has stopped to lead because of what it met.
async fn meets(node: &Node, sql: &str, meet: impl AsyncFn(&Node) -> u16) {
    let connection = Connection::open(database(&node.folder)).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    connection.execute_batch(sql).unwrap();
    let status = meet(node).await;
    assert!(status >= 500, "{status}");
    let (status, body) = crate::fixture::json(node.http.get(node.url("/readyz"))).await;
    assert_eq!((status, slug(&body)), (503, "fenced"), "{body}");
    let (_, refused) = node.propose(&node.world.propose(500)).await;
    for told in [&body, &refused] {
        let detail = told["detail"].as_str().unwrap_or_default();
        assert!(detail.starts_with("the database is not as this process has left it"), "{told}");
    }
}

#[tokio::test]
async fn a_row_that_is_kept_away_stops_the_process() {
    let node = Node::ready(10_000).await;
    let swallow = "create trigger swallow before insert on tokens begin select raise(ignore); end";
    meets(&node, swallow, async |node| node.propose(&node.world.propose(500)).await.0).await;
    assert_eq!(node.size().await, 8, "nothing of it is in the log");
    node.stop().await;
}

#[tokio::test]
async fn a_checkpoint_that_somebody_appends_is_not_shown() {
    let node = Node::ready(10_000).await;
    let stored = async |node: &Node| node.read("/v1/log/checkpoints/8").await;
    while !stored(&node).await.1.as_str().is_some_and(|note| note.contains("\n8\n")) {
        tokio::task::yield_now().await;
    }
    let append = "insert into checkpoints (number, size, note, chain)
        select number + 1, size, note, chain from checkpoints order by number desc limit 1";
    meets(&node, append, async |node| stored(node).await.0).await;
    node.stop().await;
}
