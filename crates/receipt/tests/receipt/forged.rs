//! Receipts that are signed by everyone who can sign, and false: the log's key and the quorum are evil here, and put a
//! log together that the ledger would not have taken.

use crate::{
    market::{Frame, LARGE, Market, Paid, Row, SMALL, note, reviewed, transaction},
    quorum::Signers,
};
use countersign_tests::{Person, Signed};
use domain::{Cid, Digest};
use ipld_core::ipld::Ipld;
use ledger::{Verdict, args};
use log::{Tree, leaf_hash};
use receipt::{Receipt, Roots, Step, verify};
use ucan::issue::NewInvocation;

const GENESIS: usize = 0;
const TENANT: usize = 1;
const QUORUM: usize = 2;
const PROPOSAL: usize = 3;
const APPROVAL: usize = 4;
const SUBMITTED: usize = 5;
const FIRST: usize = 6;
const SECOND: usize = 7;

fn accepted() -> Ipld {
    Ipld::Map([("kind".to_owned(), Ipld::String("accepted".to_owned()))].into())
}

fn row(signed: Signed, like: &Row) -> Row {
    Row { signed, at: like.at, out: accepted() }
}

#[track_caller]
fn refused(market: &Market, rows: &[Row], frame: &Frame, step: Step) {
    let file = market.receipt(rows, frame).encode().unwrap();
    let error = verify(&file, &market.roots()).unwrap_err();
    assert_eq!(error.step, step, "{error}");
}

/// Replaces one row by this statement.
#[track_caller]
fn swapped(market: &Market, paid: &Paid, place: usize, signed: Signed, step: Step) {
    let mut rows = paid.rows.clone();
    rows[place] = Row { signed, ..rows[place].clone() };
    refused(market, &rows, &paid.frame, step);
}

#[test]
fn nothing_is_forged_in_the_receipt_that_forgeries_start_from() {
    let (market, paid) = &*reviewed();
    verify(&market.receipt(&paid.rows, &paid.frame).encode().unwrap(), &market.roots()).unwrap();
}

#[test]
fn every_entry_is_needed_once() {
    let (market, paid) = &*reviewed();
    for place in 0..paid.rows.len() {
        let mut rows = paid.rows.clone();
        let removed = rows.remove(place);
        let step = match place {
            APPROVAL => Step::Approval,
            FIRST | SECOND => Step::Attestation,
            _ => Step::Cast,
        };
        refused(market, &rows, &paid.frame, step);
        rows.insert(place, removed.clone());
        rows.push(removed);
        // A second approval at the end comes after what it should have allowed.
        let again = if place == APPROVAL { Step::Order } else { step };
        refused(market, &rows, &paid.frame, again);
    }
}

#[test]
fn entries_in_another_order_are_refused() {
    let (market, paid) = &*reviewed();
    for a in 0..paid.rows.len() {
        for b in a + 1..paid.rows.len() {
            let mut rows = paid.rows.clone();
            rows.swap(a, b);
            let verdict = verify(&market.receipt(&rows, &paid.frame).encode().unwrap(), &market.roots());
            // Quorum and tenant, and an execution's reports among themselves, may come in any order.
            let free = [(TENANT, QUORUM), (SUBMITTED, FIRST), (SUBMITTED, SECOND), (FIRST, SECOND), (QUORUM, PROPOSAL)];
            if free.contains(&(a, b)) {
                verdict.unwrap();
            } else {
                assert_eq!(verdict.unwrap_err().step, Step::Order, "{a} {b}");
            }
        }
    }
}

#[test]
fn another_operator_proves_nothing() {
    let (market, paid) = &*reviewed();
    let file = market.receipt(&paid.rows, &paid.frame).encode().unwrap();
    for stranger in [market.world.tenant.did, market.world.sequencer.did, Person::named("stranger").did] {
        let error = verify(&file, &Roots { operator: stranger }).unwrap_err();
        assert_eq!((error.step, error.seq), (Step::Authority, Some(0)));
    }
}

#[test]
fn statements_of_people_without_authority_are_refused() {
    let (market, paid) = &*reviewed();
    let w = &market.world;
    let stranger = Person::named("stranger");
    for (place, subject) in [
        (GENESIS, w.operator.did),
        (TENANT, w.operator.did),
        (QUORUM, w.operator.did),
        (PROPOSAL, w.tenant.did),
        (APPROVAL, w.tenant.did),
        (SUBMITTED, w.tenant.did),
        (FIRST, w.tenant.did),
    ] {
        let original = &paid.rows[place].signed;
        let command = original.invocation.command().as_str().to_owned();
        let Ipld::Map(args) = original.invocation.args().clone() else { panic!("a map") };
        // Without proofs, with those of the rightful issuer, and in a realm of one's own.
        for (subject, proofs) in [(subject, Vec::new()), (subject, original.proofs.clone()), (stranger.did, Vec::new())]
        {
            let forged = w.invoke(&stranger, subject, &command, &args, proofs);
            let mut rows = paid.rows.clone();
            let mut frame = paid.frame.clone();
            if place == PROPOSAL {
                frame.proposal = forged.cid();
                rows.retain(|r| !about_proposal(r));
                readd(market, &frame, &mut rows, &paid.rows[APPROVAL]);
            }
            let at = place.min(rows.len() - 1);
            rows[at] = Row { signed: forged, ..paid.rows[place].clone() };
            refused(market, &rows, &frame, Step::Authority);
        }
    }
}

fn about_proposal(row: &Row) -> bool {
    let command = row.signed.invocation.command().as_str().to_owned();
    command.starts_with("/approval/") || command.starts_with("/execution/")
}

/// The statements after a proposal, for another one.
fn readd(market: &Market, frame: &Frame, rows: &mut Vec<Row>, like: &Row) {
    rows.push(row(market.submitted(frame), like));
    for node in [0, 2] {
        rows.push(row(market.attest(&market.signers.nodes[node], frame), like));
    }
}

fn reissued(market: &Market, by: &Person, original: &Signed, change: impl FnOnce(&mut NewInvocation)) -> Signed {
    let Ipld::Map(args) = original.invocation.args().clone() else { panic!("a map") };
    let command = original.invocation.command().as_str();
    market.world.invoke_with(by, original.invocation.subject(), command, &args, original.proofs.clone(), change)
}

#[test]
fn envelopes_that_the_ledger_refuses_are_refused() {
    let (market, paid) = &*reviewed();
    let w = &market.world;
    let people = [(QUORUM, &w.operator), (TENANT, &w.operator), (APPROVAL, &w.approvers[0]), (SUBMITTED, &w.relayer)];
    for (place, by) in people {
        let original = &paid.rows[place].signed;
        let changes: [fn(&mut NewInvocation); 5] = [
            |new| new.expiration = None,
            |new| new.expiration = Some(crate::market::NOW.plus(3_600)),
            |new| new.expiration = Some(crate::market::NOW.minus(3_600)),
            |new| new.nonce.truncate(8),
            |new| new.audience = Some(Person::named("stranger").did),
        ];
        for change in changes {
            swapped(market, paid, place, reissued(market, by, original, change), Step::Authority);
        }
    }
}

#[test]
fn approvals_that_do_not_count_are_refused() {
    let (market, paid) = &*reviewed();
    let (w, proposal) = (&market.world, paid.frame.proposal);
    let review = review_of(&paid.rows[PROPOSAL]);
    // Of another decision, of another proposal, by the one who proposed it, and twice by one person.
    let other = w.approve(&w.approvers[0], proposal, Digest::sha256(b"other"));
    swapped(market, paid, APPROVAL, other, Step::Approval);
    let elsewhere = w.approve(&w.approvers[0], Cid::of(b"other"), review);
    swapped(market, paid, APPROVAL, elsewhere, Step::Cast);
    swapped(market, paid, APPROVAL, w.approve(&w.installation, proposal, review), Step::Approval);
    swapped(market, paid, APPROVAL, w.approve(&w.issuer, proposal, review), Step::Approval);
    for again in [w.approve(&w.approvers[0], proposal, review), w.approve(&w.approvers[1], proposal, review)] {
        let mut rows = paid.rows.clone();
        rows.insert(SUBMITTED, row(again, &paid.rows[APPROVAL]));
        refused(market, &rows, &paid.frame, Step::Approval);
    }
    let withdrawn = w.by(&w.approvers[0], "/approval/withdraw", &args::Withdraw { proposal });
    swapped(market, paid, APPROVAL, withdrawn, Step::Cast);
}

fn review_of(row: &Row) -> Digest {
    let Ipld::Map(out) = &row.out else { panic!("a map") };
    let Ipld::String(review) = &out["review"] else { panic!("text") };
    review.parse().unwrap()
}

#[test]
fn attestations_that_do_not_count_are_refused() {
    let (market, paid) = &*reviewed();
    let (nodes, frame) = (&market.signers.nodes, &paid.frame);
    let with = |change: fn(&mut args::Attest)| market.attest_with(&nodes[2], frame.proposal, change);
    swapped(market, paid, SECOND, market.attest(&nodes[0], frame), Step::Attestation);
    swapped(market, paid, SECOND, market.attest(&Person::named("stranger"), frame), Step::Attestation);
    swapped(market, paid, SECOND, with(|a| a.transaction = Some(Digest::sha256(b"other"))), Step::Attestation);
    swapped(market, paid, SECOND, with(|a| a.block = 78), Step::Attestation);
    let void = with(|a| (a.verdict, a.transaction) = (Verdict::Void, None));
    swapped(market, paid, SECOND, void, Step::Attestation);
    swapped(market, paid, SECOND, with(|a| a.proposal = Cid::of(b"other")), Step::Cast);
    let mut rows = paid.rows.clone();
    rows.push(row(market.attest(&nodes[1], frame), &rows[SECOND]));
    refused(market, &rows, frame, Step::Attestation);
}

#[test]
fn outcomes_that_the_ledger_does_not_write_are_refused() {
    let (market, paid) = &*reviewed();
    let set = |place: usize, path: &[&str], value: Ipld| {
        let mut rows = paid.rows.clone();
        let mut at = &mut rows[place].out;
        for part in path {
            at = match at {
                Ipld::Map(map) => map.entry((*part).to_owned()).or_insert(Ipld::Null),
                Ipld::List(list) => &mut list[part.parse::<usize>().unwrap()],
                other => panic!("{other:?} has no parts"),
            };
        }
        *at = value;
        refused(market, &rows, &paid.frame, Step::Outcome);
    };
    let text = |t: &str| Ipld::String(t.to_owned());
    for place in (0..paid.rows.len()).filter(|p| *p != PROPOSAL) {
        set(place, &["kind"], text("decided"));
        set(place, &["more"], Ipld::Null);
        set(place, &[], Ipld::Null);
    }
    let digest = text(&Digest::sha256(b"other").to_string());
    set(PROPOSAL, &[], accepted());
    set(PROPOSAL, &["kind"], text("accepted"));
    set(PROPOSAL, &["more"], Ipld::Null);
    set(PROPOSAL, &["review"], digest.clone());
    set(PROPOSAL, &["decision", "effect"], text("deny"));
    set(PROPOSAL, &["decision", "effect"], text("allow"));
    set(PROPOSAL, &["decision", "approvals"], Ipld::Integer(0));
    set(PROPOSAL, &["decision", "approvals"], Ipld::Integer(17));
    set(PROPOSAL, &["decision", "approvals"], Ipld::Integer(2));
    set(PROPOSAL, &["decision", "bundle"], digest.clone());
    set(PROPOSAL, &["decision", "input"], digest);
    set(PROPOSAL, &["decision", "engine"], text("another-1.0"));
    set(PROPOSAL, &["decision", "more"], Ipld::Null);
    let violation = [("code".to_owned(), text("frozen")), ("msg".to_owned(), text("frozen"))].into();
    set(PROPOSAL, &["decision", "violations"], Ipld::List(vec![Ipld::Map(violation)]));
    set(PROPOSAL, &["reservations"], Ipld::List(Vec::new()));
    set(PROPOSAL, &["reservations", "0", "amount"], Ipld::Integer(1));
    set(PROPOSAL, &["reservations", "1", "amount"], Ipld::Integer(1));
    set(PROPOSAL, &["reservations", "1", "window", "order", "order"], text("order-2"));
    set(PROPOSAL, &["reservations", "0", "window", "daily", "day"], Ipld::Integer(1));
    let stranger = text(&Person::named("stranger").did.to_string());
    set(PROPOSAL, &["reservations", "0", "window", "daily", "installation"], stranger);
}

#[test]
fn other_terms_than_the_quorum_signed_are_refused() {
    let (market, paid) = &*reviewed();
    let w = &market.world;
    let original = &paid.rows[TENANT].signed;
    let changed = |name: &str, value: Ipld| {
        let Ipld::Map(mut args) = original.invocation.args().clone() else { panic!("a map") };
        args.insert(name.to_owned(), value);
        w.invoke(&w.operator, w.operator.did, "/tenant/create", &args, Vec::new())
    };
    let Ipld::Map(args) = original.invocation.args().clone() else { panic!("a map") };
    let at = |value: &Ipld, key: &str, new: Ipld| {
        let Ipld::Map(mut map) = value.clone() else { panic!("a map") };
        map.insert(key.to_owned(), new);
        Ipld::Map(map)
    };
    let contract = Ipld::String(format!("0x{}", "aa".repeat(20)));
    let escrow = at(&args["escrow"], "contract", contract);
    swapped(market, paid, TENANT, changed("escrow", escrow), Step::Signature);
    let Ipld::List(assets) = args["assets"].clone() else { panic!("a list") };
    let scaled = at(&assets[0], "scale", Ipld::Integer(3));
    swapped(market, paid, TENANT, changed("assets", Ipld::List(vec![scaled])), Step::Signature);
    let other = format!("eip155:31337/erc20:0x{}", "22".repeat(20));
    let moved = at(&assets[0], "asset", Ipld::String(other));
    swapped(market, paid, TENANT, changed("assets", Ipld::List(vec![moved])), Step::Signature);
}

#[test]
fn another_quorum_did_not_sign_this() {
    let (market, paid) = &*reviewed();
    let w = &market.world;
    let set = |quorum: &ledger::Quorum| {
        w.invoke(&w.operator, w.operator.did, "/quorum/set", &args::SetQuorum(quorum.clone()), Vec::new())
    };
    // The same keys under another epoch, and keys or packages or people of another group.
    let mut later = market.signers.quorum.clone();
    later.epoch = 2;
    swapped(market, paid, QUORUM, set(&later), Step::Signature);
    let other = Signers::new(2);
    let mut mixed = market.signers.quorum.clone();
    mixed.keys.secp256k1.clone_from(&other.quorum.keys.secp256k1);
    swapped(market, paid, QUORUM, set(&mixed), Step::Quorum);
    let mut mixed = market.signers.quorum.clone();
    mixed.packages = other.quorum.packages.clone();
    swapped(market, paid, QUORUM, set(&mixed), Step::Quorum);
    let mut mixed = market.signers.quorum.clone();
    mixed.threshold = 3;
    swapped(market, paid, QUORUM, set(&mixed), Step::Quorum);
    let mut mixed = market.signers.quorum.clone();
    mixed.participants[1].id = 9;
    mixed.participants.sort_by_key(|p| p.id);
    swapped(market, paid, QUORUM, set(&mixed), Step::Quorum);
    swapped(market, paid, QUORUM, set(&other.quorum), Step::Checkpoint);
}

#[test]
fn signature_and_transaction_are_those_of_the_submission() {
    let (market, paid) = &*reviewed();
    let mut frame = paid.frame.clone();
    frame.transaction = Digest::sha256(b"other");
    refused(market, &paid.rows, &frame, Step::Submission);
    // A second, equally good signature that nobody submitted.
    let again = market.signers.sign_secp256k1(&escrow::payout_digest(&paid.authorisation));
    let frame = Frame { signature: crate::market::hex(&again), ..paid.frame.clone() };
    refused(market, &paid.rows, &frame, Step::Submission);
    // A submission of a signature over another payout.
    let mut other = paid.authorisation.clone();
    other.recipients.reverse();
    let stolen = crate::market::hex(&market.signers.sign_secp256k1(&escrow::payout_digest(&other)));
    let frame = Frame { signature: stolen, ..paid.frame.clone() };
    let mut rows = paid.rows.clone();
    rows[SUBMITTED] = row(market.submitted(&frame), &rows[SUBMITTED]);
    refused(market, &rows, &frame, Step::Signature);
}

#[test]
fn checkpoint_needs_both_signatures_and_no_others() {
    let (market, paid) = &*reviewed();
    let good = market.receipt(&paid.rows, &paid.frame);
    let tree = Tree::from_leaves(good.entries.iter().map(|e| leaf_hash(&e.entry.0)));
    let longer = Tree::from_leaves(good.entries.iter().chain(&good.entries).map(|e| leaf_hash(&e.entry.0)));
    let with = |checkpoint: String, step: Step| {
        let file = Receipt { checkpoint, ..good.clone() }.encode().unwrap();
        let error = verify(&file, &market.roots()).unwrap_err();
        assert_eq!(error.step, step, "{error}");
    };
    let lines: Vec<&str> = good.checkpoint.lines().collect();
    let joined = |lines: &[&str]| lines.join("\n") + "\n";
    with(joined(&lines[..6]), Step::Checkpoint);
    with(joined(&[&lines[..5], &lines[6..]].concat()), Step::Checkpoint);
    let witness = lines[5].replace("— log.example.com/test ", "— witness.example.com ");
    with(joined(&[&lines[..], &[witness.as_str()]].concat()), Step::Checkpoint);
    with(note(&Person::named("stranger"), &market.signers, &tree), Step::Checkpoint);
    with(note(&market.world.sequencer, &Signers::new(2), &tree), Step::Checkpoint);
    with(market.cosigned(&longer), Step::Inclusion);
    with(market.cosigned(&Tree::from_leaves([leaf_hash(b"one")])), Step::Inclusion);
    with(good.checkpoint.replace("time 18", "time 19"), Step::Checkpoint);
    with(String::new(), Step::Checkpoint);
}

#[test]
fn parts_of_another_payout_do_not_fit() {
    let mut market = Market::new();
    let large = market.pay(LARGE);
    let small = market.pay(SMALL);
    let (a, b) = (market.receipt(&large.rows, &large.frame), market.receipt(&small.rows, &small.frame));
    let refused = |receipt: Receipt| {
        verify(&receipt.encode().unwrap(), &market.roots()).unwrap_err();
    };
    for i in 0..a.entries.len() {
        for j in 0..b.entries.len() {
            if a.entries[i] == b.entries[j] {
                continue;
            }
            let mut mixed = a.clone();
            mixed.entries[i] = b.entries[j].clone();
            refused(mixed);
        }
    }
    refused(Receipt { checkpoint: b.checkpoint.clone(), ..a.clone() });
    refused(Receipt { signature: b.signature.clone(), ..a.clone() });
    refused(Receipt { proposal: b.proposal, ..a.clone() });
    refused(Receipt { entries: b.entries.clone(), ..a.clone() });
    assert_eq!(a.transaction, transaction());
}
