#![allow(clippy::unwrap_used, clippy::arithmetic_side_effects, reason = "tests")]

use super::*;
use countersign_tests::{Person, World};
use log::{Checkpoint, KeyName, NoteKey};

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

/// What the log's key has signed at `time`.
fn at(time: Time, size: u64, root: Hash) -> SignedCheckpoint {
    let (sequencer, origin) = (Person::named("sequencer"), "log.example.com/test".parse::<KeyName>().unwrap());
    let own = NoteKey::new(origin.clone(), &sequencer.did).unwrap();
    Checkpoint { origin, size, root, time }.sign(&sequencer.key).signed_by_log(&own).unwrap()
}

fn signed(size: u64, root: Hash) -> SignedCheckpoint {
    at(NOW, size, root)
}

fn of(replica: &Replica) -> SignedCheckpoint {
    signed(replica.tree().size(), replica.tree().root())
}

const OTHER: Hash = Hash::from_bytes([7; 32]);

#[test]
fn what_is_heard_of_is_awaited_and_then_forgotten() {
    let replicas = replicas();
    let view = View::new(replicas[2].clone(), None);
    assert_eq!(view.hear(&of(&replicas[2])).unwrap(), Place::Agreed);
    assert_eq!(view.beyond(), None, "it is here");
    assert_eq!(view.hear(&of(&replicas[5])).unwrap(), Place::Beyond);
    assert_eq!(view.hear(&of(&replicas[3])).unwrap(), Place::Beyond);
    assert_eq!(view.beyond(), Some(5));
    let five = Some(of(&replicas[5]).note().to_owned());
    assert_eq!(view.longest(), five, "it is shown to others before it is here");
    view.publish(replicas[4].clone(), [root(&replicas[3]), root(&replicas[4])]).unwrap();
    assert_eq!(view.beyond(), Some(5));
    view.publish(replicas[5].clone(), [root(&replicas[5])]).unwrap();
    assert_eq!((view.beyond(), view.halted()), (None, None));
    assert_eq!(view.longest(), five, "and afterwards, though it has come from others");
    assert_eq!(view.freshness(9).checkpoint, Time::ZERO, "who passes it on vouches for nothing");
}

#[test]
fn a_size_that_is_not_remembered_is_held_against_what_is_stored() {
    let replicas = replicas();
    let view = View::new(replicas[2].clone(), None);
    assert_eq!(view.hear(&signed(1, OTHER)).unwrap(), Place::Past);
    view.judge(&of(&replicas[1]), replicas[1].tree().root()).unwrap();
    assert_eq!(view.halted(), None);
    view.judge(&signed(1, OTHER), replicas[1].tree().root()).unwrap_err();
    assert_eq!(view.halted(), Some("the log signed another root of size 1 than its entries have"));
}

#[test]
fn a_signed_root_that_this_tree_never_had_halts() {
    let replicas = replicas();
    let view = View::new(replicas[2].clone(), None);
    view.confirm(&of(&replicas[2]), NOW);
    let forged = signed(2, OTHER);
    let fork = view.hear(&forged).unwrap_err();
    assert_eq!((fork.evidence().as_str(), Fork::notes_in(&fork.evidence())), (forged.note(), fork.notes));
    assert_eq!(view.halted(), Some("the log signed another root of size 2 than its entries have"));
    assert_eq!(view.shown(), [of(&replicas[2]).note(), forged.note()], "others see both");
}

#[test]
fn entries_that_are_not_those_of_a_root_heard_before_halt_before_they_are_seen() {
    let replicas = replicas();
    let view = View::new(replicas[2].clone(), None);
    let four = signed(4, OTHER);
    view.hear(&four).unwrap();
    let roots = [root(&replicas[3]), root(&replicas[4])];
    let fork = view.publish(replicas[4].clone(), roots).unwrap_err();
    assert_eq!((fork.evidence().as_str(), view.halted().is_some()), (four.note(), true));
    assert_eq!(view.shown(), [four.note()]);
}

#[test]
fn two_signed_roots_of_one_size_halt_whichever_is_true() {
    let replicas = replicas();
    let view = View::new(replicas[2].clone(), None);
    let (one, other) = (of(&replicas[4]), signed(4, OTHER));
    view.hear(&one).unwrap();
    view.hear(&at(NOW.plus(1), 4, one.checkpoint().root)).unwrap();
    let fork = view.hear(&other).unwrap_err();
    assert_eq!(fork.evidence(), format!("{}\n{}", one.note(), other.note()));
    assert_eq!(Fork::notes_in(&fork.evidence()), [one.note(), other.note()]);
    assert_eq!(view.shown(), [one.note(), other.note()]);
    assert_eq!(view.halted(), Some("the log signed two roots of size 4"));
}

#[test]
fn what_is_remembered_is_bounded_and_the_largest_stays() {
    let view = View::new(replicas()[2].clone(), None);
    for size in (3..2_000).rev() {
        view.hear(&signed(size, OTHER)).unwrap();
    }
    let remembered = view.heard.lock().unwrap().len();
    assert_eq!((remembered, view.beyond()), (HEARD, Some(1_999)));
}

#[test]
fn the_longest_checkpoint_is_shown_and_the_newest_of_its_size() {
    let view = View::new(replicas()[2].clone(), None);
    assert_eq!(view.longest(), None);
    let [first, same, older] = [(0, 5), (1, 5), (2, 4)].map(|(later, size)| at(NOW.plus(later), size, OTHER));
    for signed in [&first, &same, &older, &first] {
        view.confirm(signed, NOW.plus(9));
    }
    assert_eq!(view.longest().as_deref(), Some(same.note()));
}

#[test]
fn a_new_checkpoint_of_an_older_size_keeps_no_view_fresh() {
    let replicas = replicas();
    let view = View::new(replicas[2].clone(), None);
    let fresh = || view.freshness(9).checkpoint;
    view.confirm(&at(NOW, 5, OTHER), NOW);
    view.confirm(&at(NOW.plus(9), 4, OTHER), NOW.plus(9));
    assert_eq!(fresh(), NOW, "it hides an entry");
    view.confirm(&at(NOW.plus(8), 5, OTHER), NOW.plus(9));
    assert_eq!(fresh(), NOW.plus(8), "nothing has happened");
    view.confirm(&at(NOW.plus(7), 6, OTHER), NOW.plus(9));
    assert_eq!(fresh(), NOW.plus(8), "it never grows older");
    view.confirm(&at(NOW.plus(99), 6, OTHER), NOW.plus(10));
    assert_eq!(fresh(), NOW.plus(10), "nor newer than this node's clock");

    // Nor one of fewer entries than others have shown that the log's key has signed for.
    let view = View::new(replicas[2].clone(), None);
    view.hear(&of(&replicas[3])).unwrap();
    view.publish(replicas[3].clone(), [root(&replicas[3])]).unwrap();
    view.confirm(&of(&replicas[2]), NOW);
    assert_eq!(view.freshness(9).checkpoint, Time::ZERO);
    view.confirm(&of(&replicas[3]), NOW);
    assert_eq!(view.freshness(9).checkpoint, NOW);
}
