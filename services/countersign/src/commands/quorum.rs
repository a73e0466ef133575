use super::show;
use crate::{
    confirm::ConfirmArgs,
    connection::{Connection, ConnectionArgs},
    dkg::Ceremony,
    failure::{UNAVAILABLE, Usage},
    lines::Lines,
    output::{Output, one_line},
    sending,
};
use anyhow::Context as _;
use client::{QuorumKeys, SignerClient};
use domain::{Did, NodeUrl};
use futures_util::future::join_all;
use ledger::{Participant, Scope, args::SetQuorum};
use messages::{FreezeView, NodeStatus, SubmitReply, paths};
use serde::Serialize;
use std::{fmt::Write as _, path::PathBuf, process::ExitCode, time::Duration};

/// A signer that takes longer is not there.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Generate new keys among running signers
    Dkg(Dkg),
    /// Show the signers: reachable, fresh, frozen, halted
    Status(Status),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  countersign quorum dkg --key keys/operator.key --threshold 2 --submit \\\n    \
                        --signer 1=did:key:z6Mk…@http://127.0.0.1:7711 --signer 2=…@… --signer 3=…@…")]
pub struct Dkg {
    /// A participant; repeat for everyone
    #[arg(long = "signer", value_name = "ID=DID@URL", value_parser = participant, required = true)]
    signers: Vec<Participant>,
    /// How many sign together
    #[arg(long)]
    threshold: u16,
    /// The epoch of the new keys [default: the next one, as the log says]
    #[arg(long)]
    epoch: Option<u64>,
    /// Make the keys the quorum's: submit /quorum/set
    #[arg(long)]
    submit: bool,
    /// The active epoch, when the quorum has keys already. It stops every payout until the contract has the new key
    #[arg(long, value_name = "EPOCH", requires = "submit")]
    replace: Option<u64>,
    #[command(flatten)]
    confirm: ConfirmArgs,
    /// Write the public result here, too
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 enough signers can sign, 3 they cannot, or everything is frozen.\n\n\
                        Example:\n  countersign quorum status --as operator")]
pub struct Status {
    #[command(flatten)]
    connection: ConnectionArgs,
}

fn participant(text: &str) -> Result<Participant, String> {
    let parts = text.split_once('=').and_then(|(id, rest)| Some((id, rest.split_once('@')?)));
    let (id, (node, url)) = parts.ok_or("expected ID=DID@URL")?;
    let id: u16 = id.parse().map_err(|_| "ID is 1 to 255".to_owned())?;
    let node: Did = node.parse().map_err(|e: domain::ParseDidError| e.to_string())?;
    let url: NodeUrl = url.parse().map_err(|e: domain::ParseNameError| e.to_string())?;
    Ok(Participant { id, node, url })
}

/// What comes of a second `/quorum/set`.
const STOPS: &str = "The escrow contract goes on to ask for the key that it has, and the signers sign by the new one alone: \
                     payouts, thaws and caps stop until the contract has the new key. It takes that from the old key's \
                     quorum alone, and there is no command for it.";

/// Nobody replaces the quorum's keys without naming them.
fn check_replaced(active: Option<u64>, replaced: Option<u64>) -> Result<(), Usage> {
    match (active, replaced) {
        (None, Some(_)) => Err(Usage("the quorum has no keys to replace; leave out --replace".to_owned())),
        (Some(active), named) if named != Some(active) => Err(Usage(format!(
            "no key is made: epoch {active} is active. {STOPS} If that is meant, give --replace {active}"
        ))),
        _ => Ok(()),
    }
}

#[derive(Serialize)]
struct Progress<'a> {
    progress: &'a str,
}

#[derive(Serialize)]
struct Made {
    quorum: ledger::Quorum,
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<SubmitReply>,
}

/// Runs the chosen command.
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    match command {
        Command::Dkg(command) => dkg(command, out).await,
        Command::Status(command) => {
            let statuses = statuses(&command.connection.open()?).await?;
            out.show(&statuses, &statuses.text())?;
            Ok(if statuses.available() { ExitCode::SUCCESS } else { ExitCode::from(UNAVAILABLE) })
        }
    }
}

async fn dkg(command: Dkg, out: &Output) -> anyhow::Result<ExitCode> {
    let connection = command.connection.open()?;
    let identity = connection.identity()?;
    let mut participants = command.signers;
    participants.sort_by_key(|p| p.id);
    if usize::from(command.threshold) > participants.len() {
        return Err(Usage("the threshold is above the number of signers".to_owned()).into());
    }
    let epoch = match command.epoch {
        Some(epoch) if !command.submit => epoch,
        // Asked before anything is made: the log takes the next epoch and no other.
        wanted => {
            let active = connection.reader("/read")?.quorum().await?.map(|q| q.epoch);
            let next = active.map_or(1, |epoch| epoch.saturating_add(1));
            if wanted.is_some_and(|epoch| epoch != next) {
                return Err(Usage(format!("the log's next epoch is {next}; leave out --epoch, or --submit")).into());
            }
            if command.submit {
                check_replaced(active, command.replace)?;
            }
            if let Some(old) = command.replace {
                let mut lines = Lines::new("another key of the quorum, to be made now");
                lines.add("effect", STOPS);
                lines.add("epoch", format_args!("{next}, in place of {old}"));
                command.confirm.confirm(&lines)?;
            }
            next
        }
    };
    let ceremony = Ceremony {
        identity: &identity,
        ambient: connection.ambient(),
        epoch,
        threshold: command.threshold,
        participants,
    };
    let quorum = ceremony
        .run(&mut |step| {
            if out.is_json() {
                let _ = out.show(&Progress { progress: step }, step);
            } else {
                out.note(step);
            }
        })
        .await?;
    if let Some(file) = &command.out {
        let text = serde_json::to_vec_pretty(&quorum)?;
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let statement = if command.submit {
        Some(
            sending::submit(&connection, *out, "/quorum/set", connection.operator()?, &SetQuorum(quorum.clone()))
                .await?,
        )
    } else {
        None
    };
    let mut text = format!(
        "epoch {epoch}: {} of {} sign together\n  secp256k1 {}\n  ed25519   {}",
        quorum.threshold,
        quorum.participants.len(),
        quorum.keys.secp256k1,
        quorum.keys.ed25519
    );
    if let Some(reply) = &statement {
        let _ = write!(text, "\n{}", show::reply("active", reply));
    }
    out.show(&Made { quorum, statement }, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// How the signers of the active epoch are.
#[derive(Debug, Serialize)]
pub struct Statuses {
    /// The active epoch.
    pub epoch: u64,
    /// Whose freezes stop everything, when that is known.
    #[serde(skip)]
    pub operator: Option<Did>,
    /// The freeze of everything that is in force in the log: whoever can sign refuses every payout.
    pub frozen: Option<FreezeView>,
    /// How many sign together.
    pub threshold: usize,
    /// The group's public keys: who has them verifies the quorum's signatures without asking anybody.
    pub keys: QuorumKeys,
    /// What each said, by identifier.
    pub signers: Vec<SignerStatus>,
}

/// How one signer is.
#[derive(Debug, Serialize)]
pub struct SignerStatus {
    /// Its identifier.
    pub id: u16,
    /// Where it listens.
    pub url: String,
    /// What it says about itself, or why it says nothing.
    #[serde(flatten)]
    pub answer: Answer,
}

/// What came of asking a signer: `status` or `error`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// What it says about itself.
    Status(Box<NodeStatus>),
    /// Why it says nothing.
    Error(String),
}

impl Statuses {
    /// Whether payouts are signed now.
    pub fn available(&self) -> bool {
        self.frozen.is_none() && self.threshold <= self.usable()
    }

    /// How many can sign. Who holds a freeze of the operator's signs nothing, and who holds a tenant's signs for the
    /// others.
    pub fn usable(&self) -> usize {
        let holds_all = |n: &NodeStatus| n.frozen.iter().any(|held| Some(held.realm) == self.operator);
        let usable = |s: &&SignerStatus| match &s.answer {
            Answer::Status(n) => {
                n.fresh && n.halted.is_none() && n.epochs.contains(&self.epoch) && !holds_all(n.as_ref())
            }
            Answer::Error(_) => false,
        };
        self.signers.iter().filter(usable).count()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "epoch {}: {} of {} signers can sign, {} are needed",
            self.epoch,
            self.usable(),
            self.signers.len(),
            self.threshold
        );
        if let Some(freeze) = &self.frozen {
            let reason = one_line(freeze.reason.as_str());
            let _ = write!(text, "\n  EVERYTHING IS FROZEN since {}: {reason}", freeze.at);
        }
        for signer in &self.signers {
            let _ = write!(text, "\n  {} {}: ", signer.id, signer.url);
            match &signer.answer {
                Answer::Error(error) => text.push_str(&one_line(error)),
                Answer::Status(n) => {
                    let head = n.head.map_or_else(|| "nothing".to_owned(), |h| h.to_string());
                    let _ = write!(text, "has verified the log up to {head}");
                    if !n.fresh {
                        text.push_str(", view too old");
                    }
                    for held in &n.frozen {
                        let _ =
                            write!(text, ", holds freeze {} of {} until the log has it", held.statement, held.realm);
                    }
                    let listed = u64::try_from(n.frozen.len()).unwrap_or(u64::MAX);
                    if let Some(more) = n.frozen_count.checked_sub(listed).filter(|more| *more > 0) {
                        let _ = write!(text, ", holds {more} more");
                    }
                    if let Some(reason) = &n.halted {
                        let _ = write!(text, ", HALTED: {}", one_line(reason));
                    }
                }
            }
        }
        text
    }
}

/// Asks every signer of the active epoch.
pub async fn statuses(connection: &Connection) -> anyhow::Result<Statuses> {
    let reader = connection.reader("/read")?;
    let quorum = reader.quorum().await?.context("the log has no quorum yet")?;
    let operator = connection.settings().operator;
    let everything = |f: &FreezeView| Some(f.realm) == operator && f.scope == serde_json::json!(Scope::All);
    let frozen = reader.freezes().await?.into_iter().find(everything);
    let identity = connection.identity()?;
    let asked = quorum.participants.iter().map(|p| async {
        let answer = async {
            let client = SignerClient::new(p.url.clone(), p.node, identity.clone(), connection.ambient().clone())?;
            let exchange = client.ask::<(), NodeStatus>(paths::NODE_STATUS, &(), PATIENCE).await?;
            anyhow::Ok(exchange.reply)
        };
        let answer =
            answer.await.map_or_else(|e| Answer::Error(format!("{e:#}")), |status| Answer::Status(Box::new(status)));
        SignerStatus { id: p.id, url: p.url.to_string(), answer }
    });
    let signers = join_all(asked).await;
    Ok(Statuses {
        epoch: quorum.epoch,
        operator,
        frozen,
        threshold: usize::from(quorum.threshold),
        keys: quorum.keys,
        signers,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_holds_a_freeze_of_everything_cannot_sign() {
        const OPERATOR: &str = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp";
        const TENANT: &str = "did:key:z6MkjchhfUsD6mmvni8mCdXHw216Xrm9bQe2mBH1P5RDjVJG";
        let signer = |id: u16, frozen: &[&str]| {
            let held = |realm: &&str| {
                let statement = domain::Cid::of(realm.as_bytes());
                json!({"statement": statement, "realm": realm, "scope": {"kind": "all"}, "expires_at": 9})
            };
            let node = json!({
                "node": OPERATOR, "participant": id, "epochs": [1], "active_epoch": 1, "head": 7, "view_time": 1,
                "fresh": true, "frozen": frozen.iter().map(held).collect::<Vec<_>>(),
                "frozen_count": frozen.len(), "halted": null,
                "open_commitments": 0, "version": "0.1.0",
            });
            let answer = Answer::Status(Box::new(serde_json::from_value(node).unwrap()));
            SignerStatus { id, url: "http://h".to_owned(), answer }
        };
        let statuses = Statuses {
            epoch: 1,
            operator: Some(OPERATOR.parse().unwrap()),
            frozen: None,
            threshold: 2,
            keys: QuorumKeys { secp256k1: String::new(), ed25519: OPERATOR.parse().unwrap() },
            signers: vec![signer(1, &[]), signer(2, &[TENANT]), signer(3, &[TENANT, OPERATOR])],
        };
        assert_eq!((statuses.usable(), statuses.available()), (2, true));
        assert!(statuses.text().starts_with("epoch 1: 2 of 3 signers can sign, 2 are needed"), "{}", statuses.text());
        let statement = domain::Cid::of(b"freeze");
        let freeze = json!({
            "realm": OPERATOR, "scope": {"kind": "all"}, "statement": statement, "by": OPERATOR,
            "reason": "a leak", "at": 1_760_000_000, "lifts": [],
        });
        let frozen = serde_json::from_value(freeze);
        let statuses = Statuses { frozen: Some(frozen.unwrap()), ..statuses };
        assert!(!statuses.available());
        assert!(statuses.text().contains("\n  EVERYTHING IS FROZEN since "), "{}", statuses.text());
        assert_eq!(statuses.text().lines().count(), 5, "{}", statuses.text());
    }

    #[test]
    fn a_signer_says_its_status_or_the_error_is_told() {
        let shown = |answer| serde_json::to_value(SignerStatus { id: 1, url: "http://h".to_owned(), answer }).unwrap();
        let error = shown(Answer::Error("it is away".to_owned()));
        assert_eq!(error, json!({"id": 1, "url": "http://h", "error": "it is away"}));
        let node = json!({
            "node": "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp", "participant": 1, "epochs": [1],
            "active_epoch": 1, "head": 7, "view_time": 1, "fresh": true, "frozen": [], "frozen_count": 0,
            "halted": null, "open_commitments": 0, "version": "0.1.0",
        });
        let status = shown(Answer::Status(serde_json::from_value(node.clone()).unwrap()));
        assert_eq!(status, json!({"id": 1, "url": "http://h", "status": node}));
    }

    #[test]
    fn freezes_beyond_those_that_a_signer_lists_are_counted() {
        let did: Did = "did:key:z6MkiTBz1ymuepAQ4HEHYSF1H8quG5GLVVQR3djdX3mDooWp".parse().unwrap();
        let text = |listed: usize, frozen_count| {
            let statement = domain::Cid::of(b"freeze");
            let held = json!({"statement": statement, "realm": did, "scope": {"kind": "all"}, "expires_at": 9});
            let node = json!({
                "node": did, "participant": 1, "epochs": [1], "active_epoch": 1, "head": 7, "view_time": 1,
                "fresh": true, "frozen": vec![held; listed], "frozen_count": frozen_count, "halted": null,
                "open_commitments": 0, "version": "0.1.0",
            });
            let answer = Answer::Status(serde_json::from_value(node).unwrap());
            let signers = vec![SignerStatus { id: 1, url: "http://h".to_owned(), answer }];
            let keys = QuorumKeys { secp256k1: String::new(), ed25519: did };
            Statuses { epoch: 1, operator: None, frozen: None, threshold: 1, keys, signers }.text()
        };
        for (listed, count, more) in [(2, 2, None), (2, 9, Some("holds 7 more"))] {
            let text = text(listed, count);
            assert_eq!(text.matches("holds freeze ").count(), listed, "{text}");
            assert_eq!(text.contains(" more"), more.is_some(), "{text}");
            assert!(more.is_none_or(|more| text.contains(more)), "{text}");
        }
    }
}
