//! A log that was changed is not followed, and the follower says where.

use crate::history::{History, Known, Line, eventful, follow};
use countersign_replica::{Divergence, Replica};
use countersign_tests::World;
use domain::Time;
use ipld_core::ipld::Ipld;
use log::Entry;

/// Where following these lines ends, and as what.
fn divergence(world: &World, lines: &[Line]) -> Option<Divergence> {
    let (mut replica, mut known) = (Replica::new(world.operator.did), Known::new());
    for line in lines {
        let before = (replica.state().hash(), replica.tree().root());
        if let Err(divergence) = follow(&mut replica, &mut known, line) {
            assert_eq!(divergence.seq(), replica.next_seq());
            assert_eq!((replica.state().hash(), replica.tree().root()), before, "a failed step changes nothing");
            return Some(divergence);
        }
    }
    None
}

fn edit(line: &mut Line, change: impl FnOnce(&mut Entry)) {
    let mut entry = Entry::decode(&line.entry).unwrap();
    change(&mut entry);
    line.entry = entry.encode().unwrap();
}

fn log() -> (World, History) {
    eventful()
}

#[test]
fn the_log_itself_is_followed() {
    let (world, history) = log();
    assert!(divergence(&world, &history.lines).is_none());
    let other = World::new(world.now);
    assert_eq!(other.operator.did, world.operator.did);
}

#[test]
fn another_root_of_authority_follows_nothing() {
    let (_, history) = log();
    let (mut replica, mut known) = (Replica::new(countersign_tests::Person::named("else").did), Known::new());
    let divergence = follow(&mut replica, &mut known, &history.lines[0]).unwrap_err();
    assert!(matches!(divergence, Divergence::Refused { seq: 0, .. }), "{divergence}");
}

#[test]
fn wherever_a_line_is_dropped_swapped_or_repeated_it_is_found() {
    let (world, history) = log();
    let n = history.lines.len();
    for i in 0..n {
        let mut dropped = history.lines.clone();
        dropped.remove(i);
        let found = divergence(&world, &dropped).map(|d| d.seq());
        assert_eq!(found, (i + 1 < n).then_some(i as u64), "dropped {i}");

        let mut repeated = history.lines.clone();
        repeated.insert(i, history.lines[i].clone());
        assert_eq!(divergence(&world, &repeated).map(|d| d.seq()), Some(i as u64 + 1), "repeated {i}");

        if i + 1 < n {
            let mut swapped = history.lines.clone();
            swapped.swap(i, i + 1);
            assert_eq!(divergence(&world, &swapped).map(|d| d.seq()), Some(i as u64), "swapped {i}");
        }
    }
}

#[test]
fn wherever_an_entry_is_edited_it_is_found() {
    type Edit = fn(&mut Entry);
    let edits: [(&str, Edit); 6] = [
        ("prev", |e| e.prev = log::Hash::from_bytes([7; 32])),
        ("seq", |e| e.seq += 1),
        ("outcome", |e| e.out = Ipld::Null),
        ("statement", |e| e.stmt = domain::Cid::of(b"another")),
        ("earlier", |e| e.at = Time::from_unix(1)),
        ("much later", |e| e.at = e.at.plus(100_000)),
    ];
    let (world, history) = log();
    for i in 0..history.lines.len() {
        for (what, change) in edits {
            let mut lines = history.lines.clone();
            edit(&mut lines[i], change);
            assert_eq!(divergence(&world, &lines).map(|d| d.seq()), Some(i as u64), "{what} of {i}");
        }
    }
}

/// A moment later is admissible in itself, but the entry after it knows the bytes that were there.
#[test]
fn an_edit_that_is_good_in_itself_breaks_the_chain_behind_it() {
    let (world, history) = log();
    for i in 0..history.lines.len() - 1 {
        let mut lines = history.lines.clone();
        let last = Entry::decode(&history.lines[i + 1].entry).unwrap().at;
        edit(&mut lines[i], |e| e.at = e.at.plus(1).min(last));
        let unchanged = lines[i].entry == history.lines[i].entry;
        let found = divergence(&world, &lines).map(|d| d.seq());
        if unchanged {
            assert_eq!(found, None);
        } else {
            assert!(found == Some(i as u64) || found == Some(i as u64 + 1), "{i}: {found:?}");
        }
    }
}

#[test]
fn an_outcome_that_says_something_else_is_found() {
    let (world, history) = log();
    let decided =
        |line: &Line| matches!(Entry::decode(&line.entry).unwrap().out, Ipld::Map(m) if m.contains_key("decision"));
    let places: Vec<usize> = (0..history.lines.len()).filter(|i| decided(&history.lines[*i])).collect();
    assert_eq!(places.len(), 3);
    for i in places {
        for (field, value) in [("effect", Ipld::String("allow".to_owned())), ("approvals", Ipld::Integer(9))] {
            let mut lines = history.lines.clone();
            edit(&mut lines[i], |e| {
                let Ipld::Map(out) = &mut e.out else { panic!("a map") };
                let Some(Ipld::Map(decision)) = out.get_mut("decision") else { panic!("a decision") };
                decision.insert(field.to_owned(), value);
            });
            if lines[i].entry == history.lines[i].entry {
                continue;
            }
            let found = divergence(&world, &lines).unwrap();
            assert!(matches!(found, Divergence::Outcome { seq, .. } if seq == i as u64), "{found}");
        }
    }
}

#[test]
fn every_token_is_needed_and_no_other_is_taken() {
    let (world, history) = log();
    for i in 0..history.lines.len() {
        for t in 0..history.lines[i].tokens.len() {
            let token_fault = |change: &dyn Fn(&mut Vec<Vec<u8>>), what: &str| {
                let mut lines = history.lines.clone();
                change(&mut lines[i].tokens);
                let found = divergence(&world, &lines).unwrap_or_else(|| panic!("{what} of entry {i} is not found"));
                assert!(matches!(found, Divergence::Token { seq, .. } if seq == i as u64), "{what}: {found}");
            };
            token_fault(&|tokens| drop(tokens.remove(t)), "a missing token");
            token_fault(&|tokens| tokens.push(tokens[t].clone()), "a token twice");
            token_fault(
                &|tokens| {
                    let last = tokens[t].len() - 1;
                    tokens[t][last] ^= 1;
                },
                "a changed token",
            );
            token_fault(&|tokens| tokens[t].truncate(20), "a cut token");
        }
        let mut lines = history.lines.clone();
        let foreign = world.delegate(&world.tenant, world.admin.did, world.tenant.did, "/foreign");
        lines[i].tokens.push(foreign.bytes().to_vec());
        assert!(matches!(divergence(&world, &lines), Some(Divergence::Token { seq, .. }) if seq == i as u64));
    }
}

#[test]
fn a_statement_that_the_ledger_refuses_has_no_entry() {
    let (world, history) = log();
    let mut replica = history.replica.clone();
    let stranger = countersign_tests::Person::named("stranger");
    let args = ledger::args::Close { order: "order-1".parse().unwrap() };
    let signed = world.invoke(&stranger, world.tenant.did, "/order/close", &args, Vec::new());
    let out = Ipld::Map(std::collections::BTreeMap::from([("kind".to_owned(), Ipld::String("accepted".to_owned()))]));
    let entry = replica.head().unwrap().next(world.now, signed.cid(), out).encode().unwrap();
    let seq = replica.next_seq();
    let line = Line { entry, tokens: signed.tokens() };
    let found = follow(&mut replica, &mut history.known.clone(), &line).unwrap_err();
    assert!(matches!(found, Divergence::Refused { seq: s, .. } if s == seq), "{found}");
}

#[test]
fn a_follower_does_not_take_an_entry_with_another_statement() {
    let (world, history) = log();
    let mut replica = Replica::new(world.operator.did);
    let statement = world.register_publisher().statement();
    let found = replica.follow(&history.lines[0].entry, &statement).unwrap_err();
    assert!(matches!(found, Divergence::Statement { seq: 0 }), "{found}");
}

#[test]
fn a_refused_statement_leaves_the_replica_as_it_was() {
    let (world, mut history) = log();
    let before = (history.replica.state().hash(), history.replica.tree().root(), history.replica.head().copied());
    assert!(!history.try_admit(&world.genesis(), world.now.plus(50)));
    assert_eq!(
        (history.replica.state().hash(), history.replica.tree().root(), history.replica.head().copied()),
        before
    );
}
