use crate::fixture::{Node, json, slug};
use countersign_control_plane::{Access, ROUTES, Verb};
use countersign_tests::{Person, World};
use domain::Digest;
use ipld_core::ipld::Ipld;
use ledger::{Scope, args};
use log::{Hash, Note, leaf_hash};
use messages::{EntriesView, FreezeView, LogEntryView};
use serde_json::Value;
use std::collections::BTreeSet;
use ucan::issue::{NewDelegation, delegate};

#[tokio::test]
async fn what_the_state_holds_is_shown() {
    let node = Node::ready(10_000).await;
    let tenant = node.world.tenant.did.to_string();
    let (_, tenants) = node.read("/v1/tenants").await;
    assert_eq!(tenants["items"][0]["tenant"], tenant);
    assert_eq!(node.read(&format!("/v1/tenants/{tenant}")).await.1["name"], "Test Market");
    let (_, plugins) = node.read("/v1/plugins").await;
    assert_eq!(plugins["items"][0]["versions"][0]["version"], "1.0.0");
    assert_eq!(node.read("/v1/publishers").await.1["items"][0]["name"], "Test Publisher");
    let (_, installations) = node.read(&format!("/v1/installations?tenant={tenant}")).await;
    assert_eq!(installations["items"][0]["state"], "active");
    let one = format!("/v1/installations/{}?tenant={tenant}", node.world.installation.did);
    assert_eq!(node.read(&one).await.1["limits"][0]["max_per_payout"], 1_000);
    assert_eq!(node.read(&format!("/v1/orders?tenant={tenant}")).await.1["items"][0]["order"], "order-1");
    assert_eq!(node.read("/v1/freezes").await.1["items"], Value::Array(Vec::new()));
    assert_eq!(node.read("/v1/administrations").await.1["items"], Value::Array(Vec::new()));
    assert_eq!(node.read("/v1/quorum").await.0, 404);
    assert_eq!(node.read("/v1/quorum/statement").await.0, 404);
    assert_eq!(slug(&node.read("/v1/installations").await.1), "malformed-request");
    assert_eq!(slug(&node.read("/v1/tenants?limit=0").await.1), "malformed-request");
    assert_eq!(slug(&node.read("/v1/tenants?colour=red").await.1), "malformed-request");
    node.stop().await;
}

/// A second tenant with people and a contract of its own.
pub async fn second_tenant(node: &Node) -> World {
    let mut second = World::new(node.world.now);
    for (person, name) in [
        (&mut second.tenant, "second tenant"),
        (&mut second.admin, "second admin"),
        (&mut second.market, "second market"),
        (&mut second.provider, "second provider"),
        (&mut second.installation, "second installation"),
    ] {
        *person = Person::named(name);
    }
    let Ipld::Map(mut args) = second.create_tenant().invocation.args().clone() else { panic!("args are a map") };
    let escrow = [
        ("chain".to_owned(), Ipld::Integer(31_337)),
        ("contract".to_owned(), Ipld::String(format!("0x{}", "ef".repeat(20)))),
    ];
    args.insert("escrow".to_owned(), Ipld::Map(escrow.into()));
    let create = node.world.invoke(&node.world.operator, node.world.operator.did, "/tenant/create", &args, Vec::new());
    assert_eq!(node.state(&create).await.0, 201);
    second
}

#[tokio::test]
async fn a_tenant_sees_the_freezes_that_concern_it_only() {
    let node = Node::ready(10_000).await;
    let world = &node.world;
    let others = second_tenant(&node).await;
    assert_eq!(node.state(&others.grant(1_000, 10_000)).await.0, 201);
    let second = &others.tenant;
    let (installation, plugin) = (world.installation.did, world.plugin());
    let scopes = [
        Scope::All,
        Scope::Plugin(plugin),
        Scope::Action("/proposal/payout".to_owned()),
        Scope::Tenant(world.tenant.did),
        Scope::Installation(installation),
        Scope::Tenant(second.did),
        Scope::Installation(others.installation.did),
    ];
    let freeze = async |by: &Person, scope: &Scope| {
        let args = args::Set { scope: scope.clone(), reason: "test".parse().unwrap() };
        let (status, body) = node.state(&world.invoke(by, by.did, "/freeze/set", &args, Vec::new())).await;
        assert_eq!(status, 201, "{scope:?}: {body}");
    };
    for scope in &scopes {
        freeze(&world.operator, scope).await;
    }
    freeze(&world.tenant, &Scope::All).await;
    let seen_by = async |person: &Person| {
        let (_, list) = json(node.get("/v1/freezes", &world.reader(person, "/read"))).await;
        let freezes: Vec<FreezeView> = serde_json::from_value(list["items"].clone()).unwrap();
        let place = |f: FreezeView| (f.realm, serde_json::from_value::<Scope>(f.scope).unwrap());
        freezes.into_iter().map(place).collect::<BTreeSet<_>>()
    };
    let of =
        |places: &[usize]| places.iter().map(|n| (world.operator.did, scopes[*n].clone())).collect::<BTreeSet<_>>();
    let own = BTreeSet::from([(world.tenant.did, Scope::All)]);
    assert_eq!(seen_by(&world.operator).await, &of(&[0, 1, 2, 3, 4, 5, 6]) | &own);
    assert_eq!(seen_by(&world.tenant).await, &of(&[0, 1, 2, 3, 4]) | &own);
    assert_eq!(seen_by(second).await, of(&[0, 1, 2, 5, 6]));
    node.stop().await;
}

#[tokio::test]
async fn a_parameter_that_a_read_does_not_list_is_refused() {
    let node = Node::ready(10_000).await;
    let did = node.world.installation.did;
    let reader = node.world.reader(&node.world.operator, "/read");
    let every = ROUTES.iter().flat_map(|route| route.query).chain(&["colour"]).collect::<BTreeSet<_>>();
    let is_get = |route: &&countersign_control_plane::Route| route.verb == Verb::Get && route.access != Access::Public;
    for route in ROUTES.iter().filter(is_get) {
        let path = route.path.replace("{did}", &did.to_string());
        for name in every.iter().filter(|name| !route.query.contains(name)) {
            let (status, body) = json(node.get(&format!("{path}?{name}=1"), &reader)).await;
            assert_eq!((status, slug(&body)), (400, "malformed-request"), "{path} {name}: {body}");
            assert_eq!(body["field"], **name, "{path}: {body}");
        }
    }
    let (status, body) = node.post("/v1/proposals?dry_run=true", node.world.propose(500).container()).await;
    assert_eq!((status, slug(&body), &body["field"]), (400, "malformed-request", &Value::from("dry_run")), "{body}");
    node.stop().await;
}

#[tokio::test]
async fn a_tenant_sees_its_own_data_only() {
    let node = Node::ready(10_000).await;
    let proposal = node.world.propose(500);
    assert_eq!(node.propose(&proposal).await.0, 201);
    let second = second_tenant(&node).await.tenant;
    let reader = node.world.reader(&second, "/read");
    let get = |path: String| json(node.get(&path, &reader));
    assert_eq!(get("/v1/proposals".to_owned()).await.1["items"], Value::Array(Vec::new()));
    assert_eq!(get(format!("/v1/proposals/{}", proposal.cid())).await.0, 404);
    let own = node.world.tenant.did;
    for path in [
        format!("/v1/proposals?tenant={own}"),
        format!("/v1/tenants/{own}"),
        format!("/v1/installations?tenant={own}"),
        format!("/v1/orders?tenant={own}"),
        format!("/v1/budgets?tenant={own}"),
    ] {
        assert_eq!(slug(&get(path.clone()).await.1), "forbidden", "{path}");
    }
    let (_, tenants) = get("/v1/tenants".to_owned()).await;
    assert_eq!(tenants["items"].as_array().unwrap().len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn who_may_join_a_change_of_a_contract_sees_what_it_says() {
    let node = Node::ready(10_000).await;
    let world = &node.world;
    let args = args::Administer {
        tenant: world.tenant.did,
        measure: ledger::Measure::SetCap { asset: countersign_tests::asset(), cap: 7_000.try_into().unwrap() },
        nonce: 3,
        valid_until: world.now.plus(3_600),
        reason: "a test".parse().unwrap(),
    };
    let said = world.invoke(&world.operator, world.operator.did, "/escrow/administer", &args, Vec::new());
    let (status, reply) = node.state(&said).await;
    assert_eq!(status, 201, "{reply}");
    let (_, list) = node.read("/v1/administrations").await;
    let view: messages::AdministrationView = serde_json::from_value(list["items"][0].clone()).unwrap();
    assert_eq!((view.id, view.tenant, view.nonce), (args.id(), args.tenant, 3));
    assert_eq!(serde_json::from_value::<ledger::Measure>(view.measure).unwrap(), args.measure);
    assert_eq!((view.admins, view.needed), (vec![world.operator.did], 2));
    assert_eq!(reply["seq"], view.updated);
    assert_eq!(view.authorisation, None, "there is no quorum yet");
    let (status, _) = node.state(&world.set_quorum()).await;
    assert_eq!(status, 201);
    let (_, list) = node.read("/v1/administrations").await;
    assert!(list["items"][0].get("authorisation").is_none(), "one admin alone authorises nothing");
    let admin = Person::named("operator-admin");
    let proof = world.delegate(&world.operator, admin.did, world.operator.did, "/escrow");
    let joined = world.invoke(&admin, world.operator.did, "/escrow/administer", &args, vec![proof]);
    assert_eq!(node.state(&joined).await.0, 201);
    let (_, list) = node.read("/v1/administrations").await;
    let signed = &list["items"][0]["authorisation"];
    assert_eq!((&signed["nonce"], &signed["epoch"]), (&3.into(), &1.into()));
    assert_eq!(signed["measure"]["set_cap"]["cap"], "7000");
    // The tenant sees what is asked for its contract; another tenant sees nothing.
    let seen_by = |person: &Person| json(node.get("/v1/administrations", &world.reader(person, "/read")));
    assert_eq!(seen_by(&world.tenant).await.1["items"].as_array().unwrap().len(), 1);
    assert_ne!(seen_by(&Person::named("stranger")).await.0, 200);
    node.stop().await;
}

#[tokio::test]
async fn the_quorums_statement_comes_with_its_whole_chain() {
    let node = Node::ready(10_000).await;
    let (world, clerk) = (&node.world, Person::named("clerk"));
    let proof = world.delegate(&world.operator, clerk.did, world.operator.did, "/quorum");
    let Ipld::Map(mut args) = world.set_quorum().invocation.args().clone() else { panic!("args are a map") };
    for epoch in 1..3 {
        args.insert("epoch".to_owned(), Ipld::Integer(epoch));
        let set = world.invoke(&clerk, world.operator.did, "/quorum/set", &args, vec![proof.clone()]);
        assert_eq!(node.state(&set).await.0, 201);
        let (status, shown) = node.read("/v1/quorum/statement").await;
        let shown: LogEntryView = serde_json::from_value(shown).unwrap();
        let tokens: Vec<Vec<u8>> = shown.tokens.into_iter().map(|token| token.0).collect();
        // The second time the log holds the delegation already.
        assert_eq!((status, tokens), (200, set.tokens()), "epoch {epoch}");
        let (_, log) = node.read(&format!("/v1/log/entries?from={}&limit=1", shown.seq)).await;
        let log: EntriesView = serde_json::from_value(log).unwrap();
        assert_eq!(log.entries[0].entry, shown.entry);
        assert_eq!(log.entries[0].tokens.len(), if epoch == 1 { 2 } else { 1 });
    }
    node.stop().await;
}

#[tokio::test]
async fn lists_have_pages() {
    let node = Node::ready(10_000).await;
    for _ in 0..7 {
        assert_eq!(node.propose(&node.world.propose(10)).await.0, 201);
    }
    let mut seen = Vec::new();
    let mut path = "/v1/proposals?limit=3".to_owned();
    loop {
        let (_, page) = node.read(&path).await;
        seen.extend(page["items"].as_array().unwrap().iter().map(|p| p["seq"].as_u64().unwrap()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/proposals?limit=3&cursor={next}");
    }
    assert_eq!(seen, [14, 13, 12, 11, 10, 9, 8]);
    node.stop().await;
}

fn hashes(body: &Value) -> Vec<Hash> {
    let digests: Vec<Digest> = serde_json::from_value(body["hashes"].clone()).unwrap();
    digests.iter().map(|d| Hash::from_bytes(*d.as_bytes())).collect()
}

#[tokio::test]
async fn proofs_and_tiles_hold() {
    let node = Node::ready(10_000_000).await;
    let proposals: Vec<_> = (0..300).map(|_| node.world.propose(10)).collect();
    let answers = futures_util::future::join_all(proposals.iter().map(|p| node.propose(p))).await;
    assert!(answers.iter().all(|(status, _)| *status == 201));
    let (_, entries) = node.read("/v1/log/entries?from=0&limit=1000").await;
    let entries: EntriesView = serde_json::from_value(entries).unwrap();
    assert_eq!((entries.entries.len(), entries.head), (308, Some(307)));
    let leaves: Vec<Hash> = entries.entries.iter().map(|e| leaf_hash(&e.entry.0)).collect();
    let root = |size: usize| log::Tree::from_leaves(leaves[..size].iter().copied()).root();
    for (seq, size) in [(0, 308), (255, 308), (256, 257), (307, 308), (8, 9)] {
        let (status, body) = node.read(&format!("/v1/log/proofs/inclusion?seq={seq}&size={size}")).await;
        assert_eq!(status, 200, "{body}");
        log::verify_inclusion(seq, size, &leaves[seq as usize], &root(size as usize), &hashes(&body)).unwrap();
    }
    for (old, new) in [(1, 308), (256, 308), (255, 257), (8, 300)] {
        let (status, body) = node.read(&format!("/v1/log/proofs/consistency?old={old}&new={new}")).await;
        assert_eq!(status, 200, "{body}");
        log::verify_consistency(old, new, &root(old as usize), &root(new as usize), &hashes(&body)).unwrap();
    }
    assert_eq!(node.read("/v1/log/proofs/inclusion?seq=308").await.0, 404);
    assert_eq!(node.read("/v1/log/proofs/inclusion?seq=0&size=309").await.0, 404);
    let reader = node.world.reader(&node.world.operator, "/read/log");
    let concat =
        |range: std::ops::Range<usize>| leaves[range].iter().flat_map(|h| h.as_bytes().to_vec()).collect::<Vec<u8>>();
    for (path, range) in [("0/000", 0..256), ("0/001.p/52", 256..308), ("0/001.p/10", 256..266)] {
        let response = node.get(&format!("/v1/log/tile/{path}"), &reader).send().await.unwrap();
        assert_eq!(response.bytes().await.unwrap().to_vec(), concat(range), "{path}");
    }
    let response = node.get("/v1/log/tile/entries/001.p/52", &reader).send().await.unwrap().bytes().await.unwrap();
    let bundle = log::decode_entry_bundle(&response).unwrap();
    assert!(bundle.iter().zip(&entries.entries[256..]).all(|(a, b)| *a == b.entry.0.as_slice()));
    for path in ["0/002", "0/001", "entries/001", "0/1", "9/000"] {
        assert_eq!(node.get(&format!("/v1/log/tile/{path}"), &reader).send().await.unwrap().status(), 404, "{path}");
    }
    node.restart().await.stop().await;
}

#[tokio::test]
async fn a_cosignature_needs_a_quorum_and_the_stored_note() {
    let node = Node::ready(10_000).await;
    let (status, body) = node.post("/v1/log/cosignatures", b"nonsense".to_vec()).await;
    assert_eq!((status, body["field"].as_str()), (400, Some("note")));
    let note = loop {
        let response = node.http.get(node.url("/v1/log/checkpoint")).send().await.unwrap();
        if response.status() == 200 {
            break response.text().await.unwrap();
        }
    };
    assert!(Note::parse(&note).is_ok());
    let (status, body) = node.post("/v1/log/cosignatures", note.into_bytes()).await;
    assert_eq!((status, slug(&body)), (404, "not-found"), "{body}");
    node.stop().await;
}

#[tokio::test]
async fn a_quorums_signature_on_a_stored_checkpoint_stays() {
    use ed25519_dalek::Signer;
    let node = Node::ready(10_000).await;
    assert_eq!(node.state(&node.world.set_quorum()).await.0, 201);
    let stored = loop {
        let reader = node.world.reader(&node.world.operator, "/read/log");
        let response = node.get("/v1/log/checkpoints/9", &reader).send().await.unwrap();
        let text = response.text().await.unwrap();
        if Note::parse(&text).is_ok_and(|n| n.unverified().size == 9) {
            break text;
        }
    };
    let note = Note::parse(&stored).unwrap();
    let quorum = Person::named("quorum");
    let key = log::NoteKey::new("log.example.com/test/quorum".parse().unwrap(), &quorum.did).unwrap();
    let signature = quorum.key.sign(&note.unverified().signed_text()).to_bytes();
    let cosigned = note.clone().with_signature(&key, &signature).unwrap().to_string();

    let stranger = Person::named("stranger");
    let other = log::NoteKey::new("log.example.com/test/quorum".parse().unwrap(), &stranger.did).unwrap();
    let false_signature = stranger.key.sign(&note.unverified().signed_text()).to_bytes();
    let forged = note.with_signature(&other, &false_signature).unwrap().to_string();
    let (status, body) = node.post("/v1/log/cosignatures", forged.into_bytes()).await;
    assert_eq!((status, slug(&body)), (401, "signature-invalid"), "{body}");

    assert_eq!(node.post("/v1/log/cosignatures", cosigned.clone().into_bytes()).await.0, 204);
    let node = node.restart().await;
    let reader = node.world.reader(&node.world.operator, "/read/log");
    let again = node.get("/v1/log/checkpoints/9", &reader).send().await.unwrap().text().await.unwrap();
    assert_eq!(again, cosigned);
    node.stop().await;
}

/// Two pages, and not three, of entries that are as long as statements may be.
#[tokio::test]
async fn long_entries_come_in_pages_that_can_be_held() {
    let node = Node::ready(10_000).await;
    let world = &node.world;
    let long = || [("note".to_owned(), Ipld::String("x".repeat(60 * 1024)))].into();
    let Ipld::Map(args) = world.verify_recipient(world.payout(10).splits[0].recipient).invocation.args().clone() else {
        panic!("args are a map")
    };
    for n in 0..100_u8 {
        let command = "/recipient/verify".parse().unwrap();
        let mut new = NewDelegation::new(world.provider.did, world.tenant.did, command, [n; 12]);
        new.meta = long();
        let proof = delegate(&world.tenant.key, new).unwrap();
        let command = "/recipient/verify";
        let said = world
            .invoke_with(&world.provider, world.tenant.did, command, &args, vec![proof], |new| new.meta = long())
            .container();
        assert!((120 * 1024..messages::MAX_STATEMENT).contains(&said.len()), "{}", said.len());
        let (status, body) = node.post("/v1/statements", said).await;
        assert_eq!(status, 201, "{body}");
    }
    let size = node.size().await;
    let (mut pages, mut next) = (0, 0_u64);
    while next < size {
        let (status, page) = node.read(&format!("/v1/log/entries?from={next}&limit=1000")).await;
        assert_eq!(status, 200);
        let page: EntriesView = serde_json::from_value(page).unwrap();
        let length = |e: &LogEntryView| e.entry.0.len() + e.tokens.iter().map(|t| t.0.len()).sum::<usize>();
        let bytes: usize = page.entries.iter().map(length).sum();
        assert!(u64::try_from(bytes).unwrap() <= storage::MAX_PAGE_BYTES && page.head == Some(size - 1));
        let seqs: Vec<u64> = page.entries.iter().map(|e| e.seq).collect();
        assert_eq!(seqs, (next..next + u64::try_from(seqs.len()).unwrap()).collect::<Vec<_>>());
        assert!(!seqs.is_empty());
        (pages, next) = (pages + 1, next + u64::try_from(seqs.len()).unwrap());
    }
    assert_eq!((pages, next), (2, size));
    // Tiles hold whatever they have to.
    let reader = world.reader(&world.operator, "/read/log");
    let tile = node.get(&format!("/v1/log/tile/entries/000.p/{size}"), &reader).send().await.unwrap();
    let tile = tile.bytes().await.unwrap();
    assert_eq!(log::decode_entry_bundle(&tile).unwrap().len(), usize::try_from(size).unwrap());
    node.stop().await;
}
