//! Args: what is not of the schema is refused, and the refusal names the field.

use crate::{
    commands::{Case, every, genesis, second_grant},
    stage::{SMALL, Stage, map, quorum, strict_policy},
};
use countersign_ledger::{Act, ParseError, args};
use countersign_tests::recipient;
use domain::{Bps, LineItem, MAX_AMOUNT, Payout, Split};
use ipld_core::ipld::Ipld;
use std::collections::BTreeMap;

fn text(s: &str) -> Ipld {
    Ipld::String(s.to_owned())
}

/// The field that the refusal names.
fn field(command: &str, args: BTreeMap<String, Ipld>) -> String {
    match Act::parse(command, &Ipld::Map(args)) {
        Err(ParseError::Args { field, detail }) => {
            assert!(!detail.is_empty());
            field
        }
        other => panic!("{command}: {other:?}"),
    }
}

/// Sets what is at a path such as `splits[1].bps`.
fn set(args: &mut BTreeMap<String, Ipld>, path: &str, value: Ipld) {
    let mut steps = path.split(['.', '[']).map(|s| s.trim_end_matches(']'));
    let mut at = args.get_mut(steps.next().unwrap()).expect("a field");
    for step in steps {
        at = match at {
            Ipld::Map(map) => map.get_mut(step).expect("a field"),
            Ipld::List(list) => &mut list[step.parse::<usize>().expect("an index")],
            other => panic!("nothing is inside {other:?}"),
        };
    }
    *at = value;
}

fn payout() -> BTreeMap<String, Ipld> {
    map(&Stage::empty().world.payout(SMALL))
}

#[test]
fn good_args_are_good() {
    for Case { command, args, .. } in every() {
        assert_eq!(Act::parse(command, &Ipld::Map(args)).unwrap().command(), command);
    }
}

#[test]
fn amounts_are_positive_integers_below_two_to_the_53rd() {
    let bad = [
        Ipld::Integer(0),
        Ipld::Integer(-1),
        Ipld::Integer(i128::from(i64::MIN)),
        Ipld::Integer(1 << 53),
        Ipld::Integer(i128::from(u64::MAX)),
        Ipld::Float(5.0),
        text("5"),
        Ipld::Null,
        Ipld::Bool(true),
        Ipld::List(vec![Ipld::Integer(5)]),
    ];
    for value in bad {
        for path in ["total", "line_items[0].amount"] {
            let mut args = payout();
            set(&mut args, path, value.clone());
            assert_eq!(field("/proposal/payout", args), path, "{value:?}");
        }
        let stage = Stage::empty();
        let grant = second_grant(&stage, &stage.world.installation);
        for path in ["limits[0].max_per_payout", "limits[0].daily_total"] {
            let mut args = map(&grant);
            set(&mut args, path, value.clone());
            assert_eq!(field("/installation/grant", args), path, "{value:?}");
        }
        let mut args = map(&crate::commands::order("o"));
        set(&mut args, "amount", value.clone());
        assert_eq!(field("/order/open", args), "amount", "{value:?}");
    }
    for value in [1, i128::from(MAX_AMOUNT)] {
        let mut args = map(&crate::commands::order("o"));
        set(&mut args, "amount", Ipld::Integer(value));
        assert!(Act::parse("/order/open", &Ipld::Map(args)).is_ok());
    }
}

#[test]
fn every_field_is_known_and_needed() {
    let optional = [("/proposal/payout", "line_items"), ("/execution/attest", "transaction")];
    for Case { command, args, .. } in every() {
        let mut more = args.clone();
        more.insert("extra".to_owned(), Ipld::Null);
        assert_eq!(field(command, more), "extra", "{command}");
        for name in args.keys().filter(|n| !optional.contains(&(command, n.as_str()))) {
            let mut fewer = args.clone();
            fewer.remove(name);
            assert_eq!(field(command, fewer), *name, "{command} without {name}");
        }
        for name in args.keys() {
            let mut odd = args.clone();
            odd.insert(name.clone(), Ipld::Map(BTreeMap::from([("odd".to_owned(), Ipld::Float(0.5))])));
            let named = field(command, odd);
            assert!(named.starts_with(name.as_str()), "{command}: {name} is odd, {named} is named");
        }
    }
}

#[test]
fn unknown_fields_inside_are_named_with_their_path() {
    let mut args = payout();
    let Some(Ipld::List(splits)) = args.get_mut("splits") else { panic!("splits") };
    let Ipld::Map(split) = &mut splits[1] else { panic!("a split") };
    split.insert("amount".to_owned(), Ipld::Integer(5));
    assert_eq!(field("/proposal/payout", args), "splits[1].amount");
}

#[test]
fn fields_of_another_form_are_named_with_their_path() {
    let upper = format!("eip155:31337:0x{}", "AB".repeat(20));
    let rows: [(&str, Ipld); 12] = [
        ("order", text("no spaces")),
        ("order", text("")),
        ("asset", text("eip155:1/erc20:0x00")),
        ("splits[0].recipient", text(&upper)),
        ("splits[1].recipient", text("eip155:031337:0x0202020202020202020202020202020202020202")),
        ("splits[1].bps", Ipld::Integer(0)),
        ("splits[1].bps", Ipld::Integer(10_001)),
        ("splits[1].bps", Ipld::Integer(-1)),
        ("splits[1].bps", Ipld::Float(0.5)),
        ("valid_until", Ipld::Integer(-1)),
        ("valid_until", text("tomorrow")),
        ("line_items[0].description", text("")),
    ];
    for (path, value) in rows {
        let mut args = payout();
        set(&mut args, path, value.clone());
        assert_eq!(field("/proposal/payout", args), path, "{value:?}");
    }
}

fn changed(change: impl FnOnce(&mut Payout)) -> String {
    let mut payout = Stage::empty().world.payout(SMALL);
    change(&mut payout);
    field("/proposal/payout", map(&payout))
}

fn share(n: u8, bps: u16) -> Split {
    Split { recipient: recipient(n), bps: Bps::new(bps).unwrap() }
}

fn item(amount: u64) -> LineItem {
    LineItem { description: "Goods".parse().unwrap(), amount: amount.try_into().unwrap() }
}

#[test]
fn payouts_that_do_not_add_up_are_refused() {
    assert_eq!(changed(|p| p.splits = vec![share(1, 9_000), share(2, 999)]), "splits");
    assert_eq!(changed(|p| p.splits = vec![share(1, 9_000), share(2, 1_001)]), "splits");
    assert_eq!(changed(|p| p.splits = vec![share(1, 10_000), share(2, 10_000)]), "splits");
    assert_eq!(changed(|p| p.splits = Vec::new()), "splits");
    assert_eq!(changed(|p| p.splits = vec![share(1, 5_000), share(1, 5_000)]), "splits");
    assert_eq!(changed(|p| p.splits = (1..=17).map(|n| share(n, 588)).collect()), "splits");
    assert_eq!(changed(|p| p.splits[1].recipient.chain.0 = 1), "splits[1].recipient");
    assert_eq!(changed(|p| p.splits[0].recipient.address.0 = [0; 20]), "splits[0].recipient");
    let dust = |p: &mut Payout| {
        p.total = 1.try_into().unwrap();
        p.line_items = Vec::new();
    };
    assert_eq!(changed(dust), "splits[1].bps");
    assert_eq!(changed(|p| p.line_items = vec![item(SMALL - 1)]), "line_items");
    assert_eq!(changed(|p| p.line_items = vec![item(SMALL), item(1)]), "line_items");
    assert_eq!(changed(|p| p.line_items = vec![item(MAX_AMOUNT), item(MAX_AMOUNT)]), "line_items");
    assert_eq!(changed(|p| p.line_items = vec![item(1_000); 51]), "line_items");
}

fn spoiled<T: serde::Serialize>(command: &str, mut args: T, change: impl FnOnce(&mut T)) -> String {
    change(&mut args);
    field(command, map(&args))
}

#[test]
fn grants_that_contradict_themselves_are_refused() {
    let stage = Stage::empty();
    let grant = || second_grant(&stage, &stage.world.installation);
    let of = |change: fn(&mut args::Grant)| spoiled("/installation/grant", grant(), change);
    assert_eq!(of(|g| g.capabilities = Vec::new()), "capabilities");
    assert_eq!(of(|g| g.capabilities = vec!["/proposal".to_owned()]), "capabilities[0]");
    assert_eq!(of(|g| g.capabilities = vec!["/proposal/payout".to_owned(); 2]), "capabilities");
    assert_eq!(of(|g| g.limits = Vec::new()), "limits");
    assert_eq!(of(|g| g.limits.push(g.limits[0].clone())), "limits");
    assert_eq!(of(|g| g.limits[0].daily_total = 1.try_into().unwrap()), "limits[0].daily_total");
}

#[test]
fn quorums_that_cannot_sign_are_refused() {
    let of = |change: fn(&mut args::SetQuorum)| spoiled("/quorum/set", quorum(1), change);
    assert_eq!(of(|q| q.0.threshold = 1), "threshold");
    assert_eq!(of(|q| q.0.threshold = 4), "threshold");
    assert_eq!(of(|q| q.0.participants.clear()), "threshold");
    let four = |q: &mut args::SetQuorum| {
        let fourth = countersign_ledger::Participant { id: 4, ..q.0.participants[0].clone() };
        q.0.participants.push(fourth);
    };
    assert_eq!(of(four), "threshold", "two of four leave room for another two");
    assert_eq!(of(|q| q.0.participants.swap(0, 1)), "participants");
    assert_eq!(of(|q| q.0.participants[0].id = 0), "participants");
    assert_eq!(of(|q| q.0.participants[2].id = 256), "participants");
    assert_eq!(of(|q| q.0.participants[1].id = 1), "participants");
    assert_eq!(of(|q| q.0.participants[1].node = q.0.participants[0].node), "participants");
    assert_eq!(of(|q| q.0.participants = vec![q.0.participants[0].clone(); 33]), "participants");
    assert_eq!(of(|q| q.0.keys.secp256k1 = format!("04{}", "ab".repeat(32))), "keys.secp256k1");
    assert_eq!(of(|q| q.0.keys.secp256k1 = format!("02{}", "AB".repeat(32))), "keys.secp256k1");
    assert_eq!(of(|q| q.0.keys.secp256k1 = "02".to_owned()), "keys.secp256k1");
    assert_eq!(of(|q| q.0.packages.secp256k1 = String::new()), "packages.secp256k1");
    assert_eq!(of(|q| q.0.packages.ed25519 = "abc".to_owned()), "packages.ed25519");
    assert_eq!(of(|q| q.0.packages.ed25519 = "ab".repeat(4097)), "packages.ed25519");
}

#[test]
fn a_genesis_that_makes_no_sense_is_refused() {
    let stage = Stage::empty();
    let of = |change: fn(&mut args::Genesis)| spoiled("/log/genesis", genesis(&stage), change);
    assert_eq!(of(|g| g.ledger = 2), "ledger");
    assert_eq!(of(|g| g.origin = "a log".parse().unwrap()), "origin");
    assert_eq!(of(|g| g.origin = "a+log".parse().unwrap()), "origin");
    assert_eq!(of(|g| g.clock_tolerance = 121), "clock_tolerance");
    assert_eq!(of(|g| g.lift_admins = 0), "lift_admins");
    assert_eq!(of(|g| g.issuer = g.sequencer), "issuer");
}

#[test]
fn a_tenant_that_does_not_consent_is_refused() {
    let stage = Stage::empty();
    let world = &stage.world;
    let good = || crate::commands::create_with(world.tenant.did, 0xef, &world.tenant_to_issuer());
    let of = |change: &dyn Fn(&mut args::Create)| spoiled("/tenant/create", good(), |c| change(c));
    assert_eq!(of(&|c| c.assets = Vec::new()), "assets");
    assert_eq!(of(&|c| c.assets = vec![c.assets[0].clone(); 65]), "assets");
    assert_eq!(of(&|c| c.assets = vec![c.assets[0].clone(); 2]), "assets");
    assert_eq!(of(&|c| c.assets[0].asset.chain.0 = 1), "assets[0].asset");
    assert_eq!(of(&|c| c.confirmations = 10_001), "confirmations");
    assert_eq!(of(&|c| c.confirmations = 0), "confirmations");
    assert_eq!(of(&|c| c.lift_admins = 0), "lift_admins");
    let bytes = |d: ucan::Verified<ucan::Delegation>| Ipld::Bytes(d.bytes().to_vec());
    let wrong = [
        text("delegation"),
        Ipld::Bytes(vec![0; 40]),
        bytes(world.delegate(&world.tenant, world.issuer.did, world.tenant.did, "/proposal/payout")),
        bytes(world.delegate(&world.tenant, world.issuer.did, world.tenant.did, "/")),
        bytes(world.delegate(&world.tenant, world.issuer.did, world.operator.did, "/proposal")),
        bytes(world.delegate(&world.operator, world.issuer.did, world.tenant.did, "/proposal")),
    ];
    for delegation in wrong {
        assert_eq!(of(&|c| c.delegation = delegation.clone()), "delegation");
    }
}

#[test]
fn what_else_contradicts_itself_is_refused() {
    let case = |command: &str| every().into_iter().find(|c| c.command == command).unwrap().args;
    let rows: [(&str, &str, Ipld, &str); 8] = [
        ("/execution/submitted", "signature", text("ab"), "signature"),
        ("/execution/submitted", "signature", text(&"AB".repeat(65)), "signature"),
        ("/execution/attest", "verdict", text("void"), "transaction"),
        ("/recipient/verify", "kyc_level", Ipld::Integer(11), "kyc_level"),
        ("/signer/evidence", "message", text(&"x".repeat(16 * 1024 + 1)), "message"),
        ("/policy/activate", "bundle", text(&"00".repeat(32)), "bundle"),
        ("/policy/activate", "modules", Ipld::Map(BTreeMap::new()), "modules"),
        ("/freeze/set", "scope", Ipld::Map(BTreeMap::from([("action".to_owned(), text("/x"))])), "scope.action"),
    ];
    for (command, name, value, named) in rows {
        let mut args = case(command);
        set(&mut args, name, value);
        assert_eq!(field(command, args), named, "{command} {name}");
    }
    let mut without = case("/execution/attest");
    without.remove("transaction");
    assert_eq!(field("/execution/attest", without), "transaction");
    assert_eq!(spoiled("/policy/activate", strict_policy(), |p| p.data.push(' ')), "bundle");
}

#[test]
fn orders_and_revocations_are_bounded() {
    let mut order = crate::commands::order("o");
    let royalty =
        |n: u8, bps: u16| countersign_ledger::Royalty { recipient: recipient(n), bps: Bps::new(bps).unwrap() };
    order.royalties = (1..=17).map(|n| royalty(n, 1)).collect();
    assert_eq!(field("/order/open", map(&order)), "royalties");
    order.royalties = vec![royalty(1, 1), royalty(1, 2)];
    assert_eq!(field("/order/open", map(&order)), "royalties");
    order.royalties = vec![royalty(1, 5_000), royalty(2, 5_001)];
    assert_eq!(field("/order/open", map(&order)), "royalties");

    let token = Ipld::Bytes(Stage::empty().world.tenant_to_issuer().bytes().to_vec());
    let revoke = |path: Vec<Ipld>| args::Revoke {
        revoke: args::Revocation::Delegation(domain::Cid::of(b"")),
        path,
        reason: crate::stage::reason(),
    };
    assert_eq!(field("/ucan/revoke", map(&revoke(vec![token.clone(); 9]))), "path");
    assert_eq!(field("/ucan/revoke", map(&revoke(vec![token.clone(), text("x")]))), "path[1]");
    assert_eq!(field("/ucan/revoke", map(&revoke(vec![token, Ipld::Bytes(vec![1])]))), "path[1]");
}

/// Nothing of the engine that reads them, and nothing long of what somebody sent.
#[test]
fn refusals_are_in_the_words_of_the_api() {
    let long = "x".repeat(100_000);
    for (path, value, expected) in [
        ("total", Ipld::Integer(-1), "a whole number within the field's range is expected"),
        ("total", Ipld::Integer(i128::MAX), "a whole number within the field's range is expected"),
        ("total", Ipld::Float(1_000.0), "a whole number is expected"),
        ("total", Ipld::List(vec![Ipld::Integer(1); 10_000]), "a whole number is expected"),
        ("total", text(&long), "a whole number is expected"),
        ("splits[0].bps", Ipld::Integer(70_000), "a whole number within the field's range is expected"),
        ("splits", Ipld::Null, "a list is expected"),
        ("order", Ipld::Bytes(vec![0; 5]), "a text is expected"),
        ("line_items[0]", Ipld::Bool(true), "an object is expected"),
    ] {
        let mut args = payout();
        set(&mut args, path, value);
        match Act::parse("/proposal/payout", &Ipld::Map(args)) {
            Err(ParseError::Args { field, detail }) => assert_eq!((field.as_str(), detail.as_str()), (path, expected)),
            other => panic!("{path}: {other:?}"),
        }
    }
    let mut args = payout();
    args.insert(long, Ipld::Null);
    match Act::parse("/proposal/payout", &Ipld::Map(args)) {
        Err(ParseError::Args { detail, .. }) => assert!(detail.chars().count() <= 201, "{}", detail.len()),
        other => panic!("{other:?}"),
    }
}
