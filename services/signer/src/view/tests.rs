#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]

use super::*;
use countersign_tests::World;
use log::Tree;

const NOW: Time = Time::from_unix(1_800_000_000);

/// The replicas of a log, by their number of entries.
fn replicas() -> Vec<Replica> {
    let world = World::new(NOW);
    let mut replicas = vec![Replica::new(world.operator.did)];
    for signed in world.setup(10, 100) {
        let mut next = replicas.last().unwrap().clone();
        next.admit(&signed.statement(), NOW).unwrap();
        replicas.push(next);
    }
    replicas
}

fn root(replica: &Replica) -> (u64, Hash) {
    (replica.tree().size(), replica.tree().root())
}

fn checkpoint(size: u64, root: Hash) -> Checkpoint {
    Checkpoint { origin: "log.example.com/test".parse().unwrap(), size, root, time: NOW }
}

fn of(tree: &Tree) -> Checkpoint {
    checkpoint(tree.size(), tree.root())
}

const OTHER: Hash = Hash::from_bytes([7; 32]);

#[test]
fn what_is_heard_of_is_awaited_and_then_forgotten() {
    let replicas = replicas();
    let view = View::new(replicas[2].clone(), None);
    view.hear(&of(replicas[2].tree()), "two").unwrap();
    assert_eq!(view.beyond(), None, "it is here");
    view.hear(&of(replicas[5].tree()), "five").unwrap();
    view.hear(&of(replicas[3].tree()), "three").unwrap();
    assert_eq!(view.beyond(), Some(5));
    view.publish(replicas[4].clone(), [root(&replicas[3]), root(&replicas[4])]).unwrap();
    assert_eq!(view.beyond(), Some(5));
    view.publish(replicas[5].clone(), [root(&replicas[5])]).unwrap();
    assert_eq!((view.beyond(), view.halted()), (None, None));
    // From before this node's memory: nothing can be said of it.
    view.hear(&checkpoint(1, OTHER), "one").unwrap();
    assert_eq!(view.halted(), None);
}

#[test]
fn a_signed_root_that_this_tree_never_had_halts() {
    let replicas = replicas();
    let view = View::new(replicas[2].clone(), None);
    let fork = view.hear(&checkpoint(2, OTHER), "forged by the log's own key").unwrap_err();
    assert_eq!(fork.evidence, "forged by the log's own key");
    assert_eq!(view.halted(), Some("the log signed another root of size 2 than its entries have"));
}

#[test]
fn entries_that_are_not_those_of_a_root_heard_before_halt_before_they_are_seen() {
    let replicas = replicas();
    let view = View::new(replicas[2].clone(), None);
    view.hear(&checkpoint(4, OTHER), "four").unwrap();
    let roots = [root(&replicas[3]), root(&replicas[4])];
    let fork = view.publish(replicas[4].clone(), roots).unwrap_err();
    assert_eq!((fork.evidence.as_str(), view.halted().is_some()), ("four", true));
}

#[test]
fn two_signed_roots_of_one_size_halt_whichever_is_true() {
    let replicas = replicas();
    let view = View::new(replicas[2].clone(), None);
    view.hear(&of(replicas[4].tree()), "one").unwrap();
    view.hear(&of(replicas[4].tree()), "one, a second later").unwrap();
    let fork = view.hear(&checkpoint(4, OTHER), "other").unwrap_err();
    assert_eq!(fork.evidence, "one\nother");
    assert_eq!(view.halted(), Some("the log signed two roots of size 4"));
}

#[test]
fn what_is_remembered_is_bounded_and_the_largest_stays() {
    let view = View::new(replicas()[2].clone(), None);
    for size in (3..2_000).rev() {
        view.hear(&checkpoint(size, OTHER), "note").unwrap();
    }
    let remembered = view.heard.lock().unwrap().len();
    assert_eq!((remembered, view.beyond()), (HEARD, Some(1_999)));
}

#[test]
fn the_newest_checkpoint_is_the_one_that_is_shown() {
    let view = View::new(replicas()[2].clone(), None);
    assert_eq!(view.confirmed(), None);
    view.confirm(NOW, "now");
    view.confirm(NOW.minus(1), "before");
    assert_eq!(view.confirmed().as_deref(), Some("now"));
    view.confirm(NOW.plus(1), &"x".repeat(MAX_CHECKPOINT + 1));
    assert_eq!((view.confirmed(), view.freshness(9).checkpoint), (None, NOW.plus(1)));
}
