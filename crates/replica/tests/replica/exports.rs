//! Exports: verified from the operator's DID alone.

use crate::history::{History, Line, eventful};
use countersign_replica::{Divergence, Report, Verifier, VerifyError, key_name, quorum_key};
use countersign_tests::{Person, World};
use domain::Did;
use log::{
    Checkpoint, KeyName, Note,
    export::{Record, Writer},
};

fn origin(history: &History) -> KeyName {
    key_name(history.replica.state().origin().unwrap()).unwrap()
}

/// The checkpoint of the first `size` entries.
fn checkpoint(world: &World, history: &History, size: usize) -> Checkpoint {
    let mut tree = log::Tree::new();
    for line in &history.lines[..size] {
        tree.push(log::leaf_hash(&line.entry));
    }
    Checkpoint::of(origin(history), &tree, world.now.plus(9))
}

fn export(origin: &KeyName, lines: &[Line], notes: &[(usize, Note)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), origin).unwrap();
    for (i, line) in lines.iter().enumerate() {
        let (entry, tokens) = (line.entry.clone(), line.tokens.clone());
        writer.write(&Record::Entry { entry, tokens }).unwrap();
        for (_, note) in notes.iter().filter(|(size, _)| *size == i + 1) {
            writer.write(&Record::Checkpoint(note.clone())).unwrap();
        }
    }
    writer.finish().unwrap()
}

fn verify(operator: Did, held: Vec<Checkpoint>, bytes: &[u8]) -> Result<Report, VerifyError> {
    Verifier::new(operator, held).verify(bytes)
}

fn good() -> (World, History, Vec<u8>) {
    let (world, history) = eventful();
    let size = history.lines.len();
    let notes: Vec<_> = [3, size].map(|n| (n, checkpoint(&world, &history, n).sign(&world.sequencer.key))).to_vec();
    let bytes = export(&origin(&history), &history.lines, &notes);
    (world, history, bytes)
}

#[test]
fn an_export_is_verified_from_the_operator_alone() {
    let (world, history, bytes) = good();
    let report = verify(world.operator.did, Vec::new(), &bytes).unwrap();
    let size = history.lines.len() as u64;
    assert_eq!((report.entries, report.checkpoints, report.signed_size), (size, 2, Some(size)));
    assert_eq!(report.cosigned_size, None);
    assert_eq!(report.root, history.replica.tree().root().to_string());
    assert_eq!(report.state, history.replica.state().hash());
    let stranger = verify(Person::named("stranger").did, Vec::new(), &bytes).unwrap_err();
    assert!(matches!(stranger, VerifyError::Divergence(Divergence::Refused { seq: 0, .. })), "{stranger}");
}

#[test]
fn the_quorums_signature_counts_beside_the_logs_own() {
    let (world, history, _) = good();
    let size = history.lines.len();
    let text = checkpoint(&world, &history, size);
    let state = history.replica.state();
    let key = quorum_key(state.origin().unwrap(), state.quorum().unwrap()).unwrap();
    let quorum = Person::named("quorum").key;
    let signature = ed25519_dalek::Signer::sign(&quorum, &text.signed_text()).to_bytes();
    let note = text.sign(&world.sequencer.key).with_signature(&key, &signature).unwrap();
    let bytes = export(&origin(&history), &history.lines, &[(size, note)]);
    let report = verify(world.operator.did, Vec::new(), &bytes).unwrap();
    assert_eq!(report.cosigned_size, Some(size as u64));
}

#[test]
fn a_checkpoint_of_another_key_size_or_root_is_found() {
    let (world, history, _) = good();
    let right = checkpoint(&world, &history, 5);
    let bad = [
        right.sign(&Person::named("stranger").key),
        right.sign(&world.issuer.key),
        checkpoint(&world, &history, 4).sign(&world.sequencer.key),
        Checkpoint { root: log::Hash::from_bytes([1; 32]), ..right.clone() }.sign(&world.sequencer.key),
        Checkpoint { size: 6, ..right.clone() }.sign(&world.sequencer.key),
        Checkpoint { origin: "other.example.com".parse().unwrap(), ..right }.sign(&world.sequencer.key),
    ];
    for note in bad {
        let bytes = export(&origin(&history), &history.lines, &[(5, note)]);
        let error = verify(world.operator.did, Vec::new(), &bytes).unwrap_err();
        assert!(matches!(error, VerifyError::Checkpoint { size: 5, .. }), "{error}");
    }
}

#[test]
fn a_held_checkpoint_tells_that_the_tail_was_cut() {
    let (world, history, bytes) = good();
    let size = history.lines.len();
    let held = checkpoint(&world, &history, size);
    assert!(verify(world.operator.did, vec![held.clone()], &bytes).is_ok());
    for cut in 1..size {
        let bytes = export(&origin(&history), &history.lines[..cut], &[]);
        assert!(verify(world.operator.did, Vec::new(), &bytes).is_ok(), "the cut log is good in itself");
        let error = verify(world.operator.did, vec![held.clone()], &bytes).unwrap_err();
        let expected = (cut as u64, size as u64);
        assert!(matches!(error, VerifyError::Shorter { entries, held } if (entries, held) == expected), "{error}");
    }
}

#[test]
fn a_held_checkpoint_tells_that_the_log_forked() {
    let (world, history) = eventful();
    let size = history.lines.len();
    let held = checkpoint(&world, &history, size);
    let (_, mut fork) = crate::history::ready();
    while fork.lines.len() < size {
        let signed = world.verify_recipient(countersign_tests::recipient(9));
        fork.admit(&signed, world.now.plus(1));
    }
    let bytes = export(&origin(&history), &fork.lines, &[]);
    assert!(verify(world.operator.did, Vec::new(), &bytes).is_ok(), "the fork is good in itself");
    let last = size as u64;
    // Whichever is listed first: a good one of the same size hides nothing.
    let of_fork = checkpoint(&world, &fork, size);
    for kept in [vec![held.clone()], vec![held.clone(), of_fork.clone()], vec![of_fork, held]] {
        let error = verify(world.operator.did, kept, &bytes).unwrap_err();
        assert!(matches!(error, VerifyError::Checkpoint { size, .. } if size == last), "{error}");
    }
}

/// Replaces a text inside the tokens of an export by one of the same length.
fn forge(lines: &[Line], from: &[u8], to: &[u8]) -> (usize, Vec<Line>) {
    assert_eq!(from.len(), to.len());
    let mut lines = lines.to_vec();
    for (i, line) in lines.iter_mut().enumerate() {
        for token in &mut line.tokens {
            if let Some(at) = token.windows(from.len()).position(|w| w == from) {
                token[at..at + from.len()].copy_from_slice(to);
                return (i, lines);
            }
        }
    }
    panic!("{from:?} is nowhere in the log");
}

#[test]
fn a_changed_policy_budget_or_amount_is_found() {
    let (world, history, _) = good();
    let cbor = |n: u32| [&[0x1a][..], &n.to_be_bytes()].concat();
    let forgeries = [
        ("the policy's threshold", b"100000".to_vec(), b"900000".to_vec()),
        ("the daily budget", cbor(2_000_000), cbor(9_000_000)),
        ("the amount of a payout", cbor(500_000), cbor(500_001)),
    ];
    for (what, from, to) in forgeries {
        let (i, lines) = forge(&history.lines, &from, &to);
        let bytes = export(&origin(&history), &lines, &[]);
        let error = verify(world.operator.did, Vec::new(), &bytes).unwrap_err();
        assert_eq!(error.seq(), Some(i as u64), "{what}: {error}");
    }
}

#[test]
fn a_token_introduced_twice_is_found_before_the_entry_counts() {
    let (world, history, _) = good();
    let mut lines = history.lines.clone();
    let uses = |line: &Line| ucan::open_invocation(&line.tokens[0]).unwrap().proofs().to_vec();
    let first = world.tenant_to_issuer();
    let places: Vec<usize> = (0..lines.len()).filter(|i| uses(&lines[*i]).contains(&first.cid())).collect();
    let second = places[1];
    lines[second].tokens.push(first.bytes().to_vec());
    let mut verifier = Verifier::new(world.operator.did, Vec::new());
    for line in &lines[..second] {
        verifier.entry(&line.entry, &line.tokens).unwrap();
    }
    let error = verifier.entry(&lines[second].entry, &lines[second].tokens).unwrap_err();
    assert!(matches!(error, VerifyError::Divergence(Divergence::Token { seq, .. }) if seq == second as u64));
    assert_eq!(verifier.replica().next_seq(), second as u64);
}

#[test]
fn empty_cut_or_misnamed_files_are_refused() {
    let (world, history, bytes) = good();
    let empty = export(&origin(&history), &[], &[]);
    assert!(matches!(verify(world.operator.did, Vec::new(), &empty), Err(VerifyError::Empty)));
    let misnamed = export(&"other.example.com".parse().unwrap(), &history.lines, &[]);
    assert!(matches!(verify(world.operator.did, Vec::new(), &misnamed), Err(VerifyError::Origin { .. })));
    let cut = &bytes[..bytes.len() - 2];
    assert!(matches!(verify(world.operator.did, Vec::new(), cut), Err(VerifyError::Export(_))));
    assert!(matches!(verify(world.operator.did, Vec::new(), b""), Err(VerifyError::Export(_))));
}
