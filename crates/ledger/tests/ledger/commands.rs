//! Every command with args that are good on one prepared stage.

use crate::stage::{MAX_PER_PAYOUT, SMALL, Stage, map, quorum, reason, strict_policy};
use countersign_ledger::{Act, Measure, Outcome, Scope, Verdict, args};
use countersign_tests::{Person, Signed, asset, recipient};
use domain::{Address, ChainId, Cid, Did, Digest, EscrowDomain};
use ipld_core::ipld::Ipld;
use std::collections::{BTreeMap, BTreeSet};
use ucan::{
    Delegation, Verified,
    issue::{NewDelegation, NewInvocation},
};

/// Who may say what, with good args.
pub struct Case {
    pub command: &'static str,
    /// Whose realm it is.
    pub root: Person,
    pub issuer: Person,
    pub args: BTreeMap<String, Ipld>,
}

impl Case {
    pub fn is_genesis(&self) -> bool {
        self.command == "/log/genesis"
    }

    pub fn is_payout(&self) -> bool {
        self.command == "/proposal/payout"
    }

    /// The chain that entitles the issuer, with the last delegation changed before it is signed.
    pub fn chain(&self, stage: &Stage, change: impl FnOnce(&mut NewDelegation)) -> Vec<Verified<Delegation>> {
        let world = &stage.world;
        let command = self.command.parse().unwrap();
        let mut new = NewDelegation::new(self.issuer.did, self.root.did, command, [3; 16]);
        new.expiration = Some(stage.at.plus(600));
        change(&mut new);
        if self.is_payout() {
            vec![world.tenant_to_issuer(), ucan::issue::delegate(&world.issuer.key, new).unwrap()]
        } else {
            vec![ucan::issue::delegate(&self.root.key, new).unwrap()]
        }
    }

    /// The statement, with the invocation changed before it is signed.
    pub fn sign(
        &self,
        stage: &Stage,
        proofs: Vec<Verified<Delegation>>,
        change: impl FnOnce(&mut NewInvocation),
    ) -> Signed {
        stage.world.invoke_with(&self.issuer, self.root.did, self.command, &self.args, proofs, change)
    }

    pub fn good(&self, stage: &Stage) -> Signed {
        self.sign(stage, self.chain(stage, |_| {}), |_| {})
    }

    /// The state that it is good on: everything is there, or for the genesis nothing.
    pub fn stage(&self) -> Stage {
        if self.is_genesis() { Stage::empty() } else { prepared().0 }
    }
}

/// Another installation, suspended.
pub fn other_installation() -> Person {
    Person::named("installation-2")
}

/// What the good args are about.
pub struct Subjects {
    /// Approved outright.
    pub approved: Cid,
    /// In review, with the approval of the first approver.
    pub reviewed: Cid,
    pub review: Digest,
    /// The freeze in force.
    pub freeze: Cid,
}

/// A stage on which every command but the genesis has something to do.
pub fn prepared() -> (Stage, Subjects) {
    let mut stage = Stage::ready();
    let approved = stage.approved();
    let reviewed = stage.in_review();
    let review = stage.review(&reviewed);
    let [ada, ..] = stage.world.approvers.as_slice() else { panic!("approvers") };
    let approval = stage.approval(ada, &reviewed);
    stage.say(&approval);
    let grant = stage.admin("/installation/grant", &second_grant(&stage, &other_installation()));
    stage.say(&grant);
    let suspend = args::Suspend { installation: other_installation().did, reason: reason() };
    stage.say(&stage.admin("/installation/suspend", &suspend));
    let freeze = stage.admin("/freeze/set", &args::Set { scope: frozen(), reason: reason() });
    stage.say(&freeze);
    (stage, Subjects { approved, reviewed, review, freeze: freeze.cid() })
}

fn frozen() -> Scope {
    Scope::Installation(other_installation().did)
}

pub fn second_grant(stage: &Stage, installation: &Person) -> args::Grant {
    args::Grant {
        installation: installation.did,
        plugin: stage.world.plugin(),
        version: "1.0.0".parse().unwrap(),
        capabilities: vec!["/proposal/payout".to_owned()],
        limits: vec![args::GrantLimit {
            asset: asset(),
            max_per_payout: SMALL.try_into().unwrap(),
            daily_total: MAX_PER_PAYOUT.try_into().unwrap(),
        }],
        expires_at: stage.at.plus(86_400),
    }
}

pub fn genesis(stage: &Stage) -> args::Genesis {
    args::Genesis {
        origin: "log.example.com/test".parse().unwrap(),
        sequencer: stage.world.sequencer.did,
        issuer: stage.world.issuer.did,
        ledger: 1,
        clock_tolerance: 30,
        lift_admins: 1,
    }
}

/// `/tenant/create` of this tenant with an escrow of its own.
pub fn create(stage: &Stage, tenant: &Person, contract: u8) -> args::Create {
    let new = NewDelegation::new(stage.world.issuer.did, tenant.did, "/proposal".parse().unwrap(), [4; 16]);
    create_with(tenant.did, contract, &ucan::issue::delegate(&tenant.key, new).unwrap())
}

pub fn create_with(tenant: Did, contract: u8, delegation: &Verified<Delegation>) -> args::Create {
    args::Create {
        tenant,
        name: "Another Market".parse().unwrap(),
        assets: vec![countersign_ledger::Asset {
            asset: asset(),
            symbol: "USDC".parse().unwrap(),
            decimals: 6,
            scale: 0.try_into().unwrap(),
        }],
        escrow: EscrowDomain { chain: ChainId(31_337), contract: Address([contract; 20]) },
        confirmations: 3,
        lift_admins: 2,
        delegation: Ipld::Bytes(delegation.bytes().to_vec()),
    }
}

/// `/escrow/administer`: a higher cap under nonce 3, for an hour.
pub fn administer(stage: &Stage) -> args::Administer {
    args::Administer {
        tenant: stage.world.tenant.did,
        measure: Measure::SetCap { asset: asset(), cap: 5_000_000.try_into().unwrap() },
        nonce: 3,
        valid_until: stage.at.plus(3_600),
        reason: reason(),
    }
}

pub fn publish(stage: &Stage, version: &str) -> args::Publish {
    args::Publish {
        plugin: stage.world.plugin(),
        version: version.parse().unwrap(),
        description: "Pays sellers.".parse().unwrap(),
        capabilities: vec!["/proposal/payout".to_owned()],
        entry_point: "main".parse().unwrap(),
        code: Digest::sha256(b"more code"),
    }
}

pub fn order(name: &str) -> args::Open {
    args::Open {
        order: name.parse().unwrap(),
        buyer: recipient(0xbb),
        asset: asset(),
        amount: 1_000.try_into().unwrap(),
        royalties: Vec::new(),
    }
}

/// One case per command, in the order of [`Act::COMMANDS`].
pub fn every() -> Vec<Case> {
    let (stage, about) = prepared();
    let mut cases = operators(&stage);
    cases.extend(tenants(&stage, &about));
    cases.extend(proposals(&stage, &about));
    let order = |case: &Case| Act::COMMANDS.iter().position(|c| *c == case.command);
    cases.sort_by_key(order);
    cases
}

fn case(root: &Person, issuer: &Person, command: &'static str, args: &impl serde::Serialize) -> Case {
    Case { command, root: root.clone(), issuer: issuer.clone(), args: map(args) }
}

fn operators(stage: &Stage) -> Vec<Case> {
    let world = &stage.world;
    let clerk = Person::named("clerk");
    let by = |issuer, command, args: &dyn erased::Args| Case {
        command,
        root: world.operator.clone(),
        issuer,
        args: args.to_map(),
    };
    let register = args::Register { publisher: Person::named("newcomer").did, name: "Newcomer".parse().unwrap() };
    let evidence = args::Evidence {
        culprit: 1,
        epoch: 1,
        proposal: None,
        reason: reason(),
        message: "{\"signed\":\"twice\"}".to_owned(),
    };
    vec![
        by(clerk.clone(), "/log/genesis", &genesis(stage)),
        by(clerk.clone(), "/tenant/create", &create(stage, &Person::named("tenant-2"), 0xef)),
        by(clerk.clone(), "/quorum/set", &quorum(2)),
        by(clerk.clone(), "/escrow/administer", &administer(stage)),
        by(clerk.clone(), "/publisher/register", &register),
        by(world.publisher.clone(), "/plugin/publish", &publish(stage, "1.1.0")),
        by(clerk, "/signer/evidence", &evidence),
    ]
}

mod erased {
    use ipld_core::ipld::Ipld;
    use std::collections::BTreeMap;

    pub trait Args {
        fn to_map(&self) -> BTreeMap<String, Ipld>;
    }

    impl<T: serde::Serialize> Args for T {
        fn to_map(&self) -> BTreeMap<String, Ipld> {
            crate::stage::map(self)
        }
    }
}

fn tenants(stage: &Stage, about: &Subjects) -> Vec<Case> {
    let world = &stage.world;
    let (root, admin) = (&world.tenant, &world.admin);
    let installation = world.installation.did;
    let grant = second_grant(stage, &Person::named("installation-3"));
    let verify =
        args::Verify { account: recipient(3), kyc_level: 2, sanctioned: false, valid_until: stage.at.plus(86_400) };
    let revoke = args::Revoke {
        revoke: args::Revocation::Delegation(Cid::of(b"a delegation")),
        path: Vec::new(),
        reason: reason(),
    };
    let set = args::Set { scope: Scope::Plugin(world.plugin()), reason: reason() };
    vec![
        case(root, admin, "/installation/grant", &grant),
        case(root, admin, "/installation/suspend", &args::Suspend { installation, reason: reason() }),
        case(
            root,
            admin,
            "/installation/resume",
            &args::Resume { installation: other_installation().did, reason: reason() },
        ),
        case(root, admin, "/installation/remove", &args::Remove { installation, reason: reason() }),
        case(root, &world.provider, "/recipient/verify", &verify),
        case(root, &world.market, "/order/open", &order("order-2")),
        case(root, &world.market, "/order/close", &args::Close { order: "order-1".parse().unwrap() }),
        case(root, admin, "/ucan/revoke", &revoke),
        case(root, admin, "/freeze/set", &set),
        case(root, admin, "/freeze/lift", &args::Lift { scope: frozen(), freeze: about.freeze }),
        case(root, admin, "/policy/activate", &strict_policy()),
    ]
}

fn proposals(stage: &Stage, about: &Subjects) -> Vec<Case> {
    let world = &stage.world;
    let root = &world.tenant;
    let [ada, bob, cyd] = world.approvers.as_slice() else { panic!("three approvers") };
    let (proposal, transaction) = (about.approved, Digest::sha256(b"transaction"));
    let submitted = args::Submitted { proposal, transaction, signature: "ab".repeat(65) };
    let reverted = args::Reverted { proposal, transaction, block: 7, reason: "out of gas".parse().unwrap() };
    let attest = args::Attest { proposal, verdict: Verdict::Final, block: 7, transaction: Some(transaction) };
    vec![
        case(root, &world.installation, "/proposal/payout", &world.payout(SMALL)),
        case(root, &world.admin, "/proposal/cancel", &args::Cancel { proposal, reason: reason() }),
        case(root, bob, "/approval/give", &args::Give { proposal: about.reviewed, review: about.review }),
        case(root, ada, "/approval/withdraw", &args::Withdraw { proposal: about.reviewed }),
        case(root, cyd, "/approval/refuse", &args::Refuse { proposal: about.reviewed, reason: reason() }),
        case(root, &world.relayer, "/execution/submitted", &submitted),
        case(root, &world.relayer, "/execution/included", &args::Included { proposal, transaction, block: 7 }),
        case(root, &world.relayer, "/execution/reverted", &reverted),
        case(root, &Person::named("node-1"), "/execution/attest", &attest),
    ]
}

#[test]
fn the_table_has_every_command() {
    let table: Vec<_> = every().iter().map(|c| c.command).collect();
    assert_eq!(table, Act::COMMANDS);
    assert_eq!(table.iter().collect::<BTreeSet<_>>().len(), table.len());
}

/// The commands of a row, the first whole and the others from where they differ: `/order/open` · `close`.
fn written(cell: &str) -> Vec<String> {
    let mut parts = cell.split(" · ").map(|part| part.trim().trim_matches('`'));
    let first = parts.next().unwrap();
    let noun = &first[..=first.rfind('/').unwrap()];
    std::iter::once(first.to_owned()).chain(parts.map(|verb| format!("{noun}{verb}"))).collect()
}

#[test]
fn the_statements_of_the_architecture_are_the_commands() {
    let text = include_str!("../../../../ARCHITECTURE.md");
    let section = text.split("\n## ").find(|section| section.starts_with("Statements\n")).unwrap();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let mut told: Vec<String> = cells.flat_map(written).collect();
    told.sort();
    let mut commands = Act::COMMANDS.to_vec();
    commands.sort_unstable();
    assert_eq!(told, commands);
}

#[test]
fn every_command_takes_effect() {
    for case in every() {
        let mut stage = case.stage();
        let before = stage.state.hash();
        let signed = case.good(&stage);
        let outcome = stage.say(&signed);
        match outcome {
            Outcome::Accepted => assert!(!case.is_payout()),
            Outcome::Decided { decision, .. } => {
                assert!(case.is_payout());
                assert_eq!(decision.effect, policy::Effect::Allow, "{:?}", decision.violations);
            }
        }
        assert_ne!(stage.state.hash(), before, "{}", case.command);
        assert_eq!(signed.statement().act().command(), case.command);
    }
}

#[test]
fn a_deputy_may_say_it_too_except_where_the_key_itself_counts() {
    let deputy = Person::named("deputy");
    for case in every() {
        let mut stage = case.stage();
        let mut proofs = case.chain(&stage, |_| {});
        let new = NewDelegation::new(deputy.did, case.root.did, case.command.parse().unwrap(), [5; 16]);
        proofs.push(ucan::issue::delegate(&case.issuer.key, new).unwrap());
        let signed = stage.world.invoke(&deputy, case.root.did, case.command, &case.args, proofs);
        if case.command == "/execution/attest" {
            let why = stage.why_not(&signed);
            assert_eq!(why, "not entitled: only a signer of the active quorum attests");
        } else {
            stage.say(&signed);
        }
    }
}
