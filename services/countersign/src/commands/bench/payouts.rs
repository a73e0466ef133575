//! From the acknowledgement of a payout to its signature and to its block, in a whole system with signers, a relayer and
//! a local chain.

use super::{
    Settings,
    clock::instant,
    figure::{Aim, Figure, Latencies, latencies, nanoseconds, quantile},
};
use crate::{
    commands::propose,
    connection::Connection,
    dev::{Dev, Options, Record},
    failure::Unavailable,
    settings::ClientSettings,
};
use anyhow::{Context as _, ensure};
use client::{FollowEvent, FollowStream};
use domain::{Amount, Bps, Cid, OrderId, Payout, Split};
use futures_util::StreamExt as _;
use ledger::Act;
use messages::{LogEntryView, ProposalStatus};
use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

const NAME: &str = "payouts";
/// A cent of the test dollar.
const TOTAL: u64 = 10_000;
/// A payout that no block has by then is a failure, not a latency.
const PATIENCE: Duration = Duration::from_secs(30);
const SUBMITTED: &str = "/execution/submitted";
const INCLUDED: &str = "/execution/included";
/// The relayer's histogram of times from the log's word to a signature.
const SIGNATURES: &str = "countersign_relayer_signature_seconds_bucket";

/// Measures against a running system, or one that is started for this.
pub async fn payouts(settings: &Settings, folder: Option<&Path>, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    if let Some(folder) = folder {
        return measure(settings, folder, figures).await;
    }
    let own = tempfile::tempdir()?;
    let options = Options {
        folder: own.path().join("dev"),
        signers: 3,
        threshold: 2,
        port: None,
        database: None,
        rpc: None,
        anvil: std::env::var_os("COUNTERSIGN_ANVIL").map(Into::into),
    };
    let out = settings.out;
    let dev = Dev::start(&options, &mut |step| out.note(&format!("{NAME}: {step}"))).await?;
    let measured = measure(settings, &options.folder, figures).await;
    dev.stop().await;
    measured
}

fn connect(folder: &Path, name: &str) -> anyhow::Result<Connection> {
    let mut settings = ClientSettings::read(Some(&folder.join("client.toml")))?;
    let keys = settings.keys.as_deref().context("the system's client settings name no keys")?;
    settings.key = Some(keys.join(format!("{name}.key")));
    Ok(Connection::new(settings))
}

/// What the log said of payouts, in one place.
struct Follower {
    stream: FollowStream,
}

impl Follower {
    /// Waits until the log has the relayer's word of this kind about a proposal; gives the moment of each word heard.
    async fn wait(&mut self, proposal: Cid, until: &str) -> anyhow::Result<BTreeMap<&'static str, Instant>> {
        let mut heard = BTreeMap::new();
        let listening = async {
            while let Some(event) = self.stream.next().await {
                let FollowEvent::Entry(entry) = event? else { continue };
                let at = instant();
                if let Some((word, about)) = word(&entry)
                    && about == proposal
                {
                    heard.entry(word).or_insert(at);
                }
                if heard.contains_key(until) {
                    return Ok(());
                }
            }
            anyhow::bail!("the log's stream ended")
        };
        let heard_all = tokio::time::timeout(PATIENCE, listening).await;
        heard_all.map_err(|_| Unavailable(format!("nobody reported {until} of {proposal}")))??;
        Ok(heard)
    }
}

/// What an entry says of which proposal, when it is the relayer's report.
fn word(entry: &LogEntryView) -> Option<(&'static str, Cid)> {
    let invocation = ucan::open_invocation(&entry.tokens.first()?.0).ok()?;
    match Act::parse(invocation.command().as_str(), invocation.args()).ok()? {
        Act::ExecutionSubmitted(said) => Some((SUBMITTED, said.proposal)),
        Act::ExecutionIncluded(said) => Some((INCLUDED, said.proposal)),
        _ => None,
    }
}

async fn measure(settings: &Settings, folder: &Path, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
    let file = folder.join("dev.json");
    let text = std::fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let record: Record = serde_json::from_slice(&text).with_context(|| file.display().to_string())?;
    let (plugin, operator) = (connect(folder, "plugin")?, connect(folder, "operator")?);
    let reader = operator.reader("/read")?;
    // A page far beyond the end says where the log ends.
    let head = reader.entries(u64::MAX >> 1, 1).await?.head;
    let mut follower = Follower { stream: reader.follow(head.map_or(0, |h| h.saturating_add(1))).await? };
    let metrics = format!("{}/metrics", record.relayer.url.as_str().trim_end_matches('/'));
    let before = buckets(&metrics).await?;
    let (mut submitted, mut included) = (latencies()?, latencies()?);
    for n in 0..settings.payouts {
        if n.is_multiple_of(10) {
            settings.progress(&format!("{NAME}: {n} of {} payouts", settings.payouts));
        }
        let said = propose::prepare(&plugin, &payout(&record, &plugin)?).await?;
        let reply = plugin.public()?.submit_proposal(&said.container).await?;
        let acknowledged = instant();
        ensure!(reply.status == Some(ProposalStatus::Approved), "{} is {:?}, not approved", reply.id, reply.status);
        let heard = follower.wait(reply.id, INCLUDED).await?;
        for (word, all) in [(SUBMITTED, &mut submitted), (INCLUDED, &mut included)] {
            if let Some(at) = heard.get(word) {
                all.record(nanoseconds(at.saturating_duration_since(acknowledged)))?;
            }
        }
    }
    let signatures = difference(&before, &buckets(&metrics).await?);
    let quorum = format!("{} of {} signers", record.threshold, record.signers.len());
    figures.push(signature(&quorum, &signatures));
    figures.push(figure("acknowledged → relayer's word of submission in the log", &submitted, None));
    figures.push(figure("acknowledged → in a block of anvil and in the log", &included, Some(Aim::AtMost(50.0))));
    Ok(())
}

fn figure(case: &str, all: &Latencies, aim: Option<Aim>) -> Figure {
    if all.is_empty() {
        return Figure::missing(NAME, case, "no entry said so");
    }
    Figure::new(NAME, case)
        .value("p50", quantile(all, 0.5) / 1e6, "ms", aim)
        .with("p99", quantile(all, 0.99) / 1e6, "ms")
        .note(format!("{} payouts, one after the other; read from the log's stream", all.len()))
}

fn payout(record: &Record, plugin: &Connection) -> anyhow::Result<Payout> {
    let recipient = |name: &str| record.recipients.get(name).copied().with_context(|| format!("no recipient {name}"));
    let others = record.recipients.iter().find(|(name, _)| *name != "carol").context("a second recipient")?;
    // Carol has a royalty in every order.
    let carol = Split { recipient: recipient("carol")?, bps: Bps::new(1_000)? };
    let order: OrderId = record.orders.iter().max_by_key(|(_, units)| **units).context("an order")?.0.clone();
    Ok(Payout {
        order,
        asset: record.usdc()?,
        total: Amount::new(TOTAL)?,
        splits: vec![Split { recipient: *others.1, bps: Bps::new(9_000)? }, carol],
        line_items: Vec::new(),
        valid_until: plugin.ambient().now().plus(3_600),
    })
}

/// Cumulative counts by upper bound in seconds, as Prometheus writes histograms.
type Buckets = Vec<(f64, u64)>;

async fn buckets(url: &str) -> anyhow::Result<Buckets> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).no_proxy().build()?;
    let text = http.get(url).send().await?.error_for_status()?.text().await?;
    Ok(text.lines().filter_map(bucket).collect())
}

fn bucket(line: &str) -> Option<(f64, u64)> {
    let (labels, count) = line.strip_prefix(SIGNATURES)?.rsplit_once(' ')?;
    let bound = labels.split_once("le=\"")?.1.split_once('"')?.0;
    let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
    Some((bound, count.parse().ok()?))
}

fn difference(before: &Buckets, after: &Buckets) -> Buckets {
    let was = |bound: f64| before.iter().find(|(b, _)| b.total_cmp(&bound).is_eq()).map_or(0, |(_, count)| *count);
    after.iter().map(|(bound, count)| (*bound, count.saturating_sub(was(*bound)))).collect()
}

/// The bound below which this percentage lies.
fn bound(buckets: &Buckets, percent: u64) -> Option<f64> {
    let all = buckets.last()?.1;
    let needed = all.saturating_mul(percent).div_ceil(100);
    let found = buckets.iter().find(|(_, count)| *count >= needed && needed > 0)?;
    found.0.is_finite().then_some(found.0 * 1e3)
}

fn signature(quorum: &str, buckets: &Buckets) -> Figure {
    let case = format!("in the log → signed, {quorum}");
    let all = buckets.last().map_or(0, |(_, count)| *count);
    let (Some(p50), Some(p99)) = (bound(buckets, 50), bound(buckets, 99)) else {
        return Figure::missing(NAME, case, "the relayer's histogram has no bound for it");
    };
    Figure::new(NAME, case)
        .against("p50 at most", p50, "ms", Aim::AtMost(5.0))
        .with("p99 at most", p99, "ms")
        .note(format!(
            "{all} signatures; the relayer's own time from reading the entry to a valid signature, by the upper bounds of \
             its histogram's buckets"
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_upper_bounds_of_buckets() {
        let line = "countersign_relayer_signature_seconds_bucket{le=\"0.005\"} 7";
        assert_eq!(bucket(line), Some((0.005, 7)));
        assert_eq!(bucket("countersign_relayer_signature_seconds_bucket{le=\"+Inf\"} 9"), Some((f64::INFINITY, 9)));
        assert_eq!(bucket("countersign_relayer_signature_seconds_sum 0.2"), None);

        let before = vec![(0.001, 1), (0.005, 2), (f64::INFINITY, 2)];
        let after = vec![(0.001, 1), (0.005, 62), (0.01, 101), (f64::INFINITY, 102)];
        let gained = difference(&before, &after);
        assert_eq!(gained, [(0.001, 0), (0.005, 60), (0.01, 101), (f64::INFINITY, 100)]);
        assert_eq!(bound(&gained, 50), Some(5.0));
        assert_eq!(bound(&gained, 99), Some(10.0));
        assert_eq!(bound(&vec![(0.001, 0), (f64::INFINITY, 3)], 50), None, "beyond every bound");
        assert_eq!(bound(&Vec::new(), 50), None);
        assert!(!signature("2 of 3 signers", &Vec::new()).is_measured());
    }
}
