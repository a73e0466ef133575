use super::*;
use domain::Time;
use ed25519_dalek::SigningKey;
use log::{Checkpoint, Tree, leaf_hash};

const ORIGIN: &str = "log.example.com/test";

/// A note over `size` entries of the branch that is named by its first entry.
fn branch(first: u8, size: u8, key: u8, origin: &str) -> String {
    let mut tree = Tree::new();
    for n in 0..size {
        tree.push(leaf_hash(&[first, n]));
    }
    let checkpoint = Checkpoint::of(origin.parse().unwrap(), &tree, Time::from_unix(9));
    checkpoint.sign(&SigningKey::from_bytes(&[key; 32])).to_string()
}

fn note(size: u8) -> String {
    branch(0, size, 1, ORIGIN)
}

fn forked(size: u8) -> String {
    branch(1, size, 1, ORIGIN)
}

fn horizon() -> Horizon {
    let sequencer = Did::from_key(SigningKey::from_bytes(&[1; 32]).verifying_key().to_bytes());
    Horizon::new(NoteKey::new(ORIGIN.parse().unwrap(), &sequencer).unwrap())
}

fn signer(id: u8) -> Did {
    Did::from_key([id; 32])
}

fn told(horizon: &Horizon) -> Vec<String> {
    horizon.notes([1, 2, 3].map(signer).into_iter()).texts()
}

#[test]
fn only_what_the_logs_key_signed_for_this_log_moves_it_and_only_forward() {
    let horizon = horizon();
    assert_eq!((horizon.size(), horizon.longest()), (0, None));
    assert_eq!(horizon.hear(&note(3)), Some(3));
    assert_eq!(horizon.hear(&branch(0, 9, 2, ORIGIN)), None, "another key's");
    assert_eq!(horizon.hear(&branch(0, 9, 1, "log.example.com/other")), None, "another log's, by the same key");
    assert_eq!(horizon.hear("9 entries"), None);
    assert_eq!(horizon.hear(&note(2)), Some(2), "true, and no news");
    assert_eq!((horizon.size(), horizon.longest()), (3, Some(note(3))));
    assert!(horizon.fork().is_none());
}

#[test]
fn lines_of_others_are_left_out_so_that_none_makes_a_note_too_long_to_be_passed_on() {
    let horizon = horizon();
    // A line that pretends to be the quorum's spoils nothing here, as it spoils nothing for signers.
    let padded = format!("{}— log.example.com/test/quorum AAAAAAAA\n", note(4));
    assert_eq!(horizon.hear(&padded), Some(4));
    assert_eq!(horizon.longest(), Some(note(4)));
    let long = format!("{}— witness.example {}\n", note(5), "A".repeat(8_000));
    assert!(long.len() > messages::MAX_CHECKPOINT);
    assert_eq!((horizon.hear(&long), horizon.longest()), (Some(5), Some(note(5))));
}

#[test]
fn two_roots_of_one_size_are_a_fork_and_both_are_told() {
    let horizon = horizon();
    for size in [3, 5] {
        horizon.hear(&note(size));
    }
    assert_eq!(horizon.hear(&forked(3)), Some(3), "of a size that is not the longest");
    assert_eq!(horizon.fork(), Some([note(3), forked(3)]));
    let mut expected = [note(3), forked(3), note(5)];
    let mut told = told(&horizon);
    expected.sort();
    told.sort();
    assert_eq!(told, expected);
    horizon.hear(&forked(5));
    assert_eq!(horizon.fork(), Some([note(3), forked(3)]), "the first is enough");
}

#[test]
fn what_each_signer_shows_is_told_whether_or_not_it_is_the_longest() {
    let horizon = horizon();
    horizon.hear(&note(7));
    horizon.hear_from(&signer(1), &[forked(6)]);
    horizon.hear_from(&signer(2), &[note(5), note(7)]);
    horizon.hear_from(&signer(9), &[note(4)]);
    let all = told(&horizon);
    assert_eq!(all.len(), 3, "nobody asks signer 9 here, and what is said twice is told once");
    assert!([forked(6), note(5), note(7)].iter().all(|n| all.contains(n)));
    // A longer log stands for the shorter that the same signer has shown, and not the other way round.
    horizon.hear_from(&signer(1), &[forked(8)]);
    horizon.hear_from(&signer(1), &[note(2)]);
    horizon.hear_from(&signer(1), &["nothing".to_owned()]);
    let all = told(&horizon);
    assert!(all.contains(&forked(8)) && !all.contains(&forked(6)) && !all.contains(&note(2)));
    assert!(horizon.fork().is_none(), "no size has two roots yet");
}

#[test]
fn what_is_remembered_is_bounded_and_the_longest_stays() {
    let horizon = horizon();
    let key = SigningKey::from_bytes(&[1; 32]);
    let mut tree = Tree::new();
    for n in 0_u32..1_100 {
        tree.push(leaf_hash(&n.to_be_bytes()));
        horizon.hear(&Checkpoint::of(ORIGIN.parse().unwrap(), &tree, Time::from_unix(9)).sign(&key).to_string());
    }
    let remembered = horizon.known.lock().unwrap().signed.len();
    assert_eq!((remembered, horizon.size()), (SIZES, 1_100));
    let many: Vec<String> = (1..9).map(note).collect();
    assert!(horizon.hear_from(&signer(1), &many).texts().len() <= MAX_SHOWN);
}
