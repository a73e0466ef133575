//! How many durable proposals a second one process takes over HTTP, load generator included.
//!
//! `cargo bench -p countersign-control-plane --bench proposals -- [proposals] [in flight] [database url]`

use countersign_control_plane::{Config, Server};
use countersign_tests::World;
use domain::Time;
use futures_util::{StreamExt, stream};
use std::time::{Duration, Instant, SystemTime};

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn now() -> (Instant, Time) {
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    (Instant::now(), Time::from_unix(unix))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).filter(|a| !a.starts_with("--"));
    let count: usize = numbers.next().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let in_flight: usize = numbers.next().and_then(|n| n.parse().ok()).unwrap_or(512);
    let folder = tempfile::TempDir::new()?;
    let database = numbers.next().unwrap_or_else(|| format!("sqlite:{}", folder.path().join("log.db").display()));

    let world = World::new(now().1);
    let mut config = Config::new(
        database,
        world.operator.did,
        &world.sequencer.key.to_bytes(),
        &world.issuer.key.to_bytes(),
        folder.path().join("anchor"),
    );
    config.listen.set_port(0);
    let server = Server::start(config.clone()).await?;
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(in_flight).build()?;
    for signed in world.setup(1_000, domain::MAX_AMOUNT) {
        let url = format!("http://{}/v1/statements", server.address());
        http.post(url).body(signed.container()).send().await?.error_for_status()?;
    }
    let chain = world.proposal_chain();
    let bodies: Vec<Vec<u8>> = (0..count).map(|_| world.propose_over(chain.clone(), 10).container()).collect();
    let url = format!("http://{}/v1/proposals", server.address());

    let started = now().0;
    let mut times: Vec<Duration> = stream::iter(bodies)
        .map(|body| {
            let request = http.post(&url).body(body);
            async move {
                let began = now().0;
                let status = request.send().await.map(|r| r.status().as_u16());
                (began.elapsed(), status)
            }
        })
        .buffer_unordered(in_flight)
        .filter_map(|(time, status)| async move { matches!(status, Ok(201)).then_some(time) })
        .collect()
        .await;
    let elapsed = started.elapsed();
    times.sort();
    let percentile = |p: usize| times.get(times.len().saturating_mul(p) / 100).copied().unwrap_or_default();
    println!("{} of {count} accepted in {elapsed:?}, {in_flight} in flight", times.len());
    println!("{:.0} proposals/s", f64::from(u32::try_from(times.len())?) / elapsed.as_secs_f64());
    println!("p50 {:?}  p99 {:?}", percentile(50), percentile(99));
    server.stop().await?;

    let started = now().0;
    let server = Server::start(config).await?;
    println!("verified at start in {:?}", started.elapsed());
    server.stop().await?;
    Ok(())
}
