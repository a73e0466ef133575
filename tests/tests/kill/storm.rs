//! Who is killed, and when.

use crate::{
    payouts::Client,
    system::{System, looking, within},
};
use domain::Cid;
use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;
use std::{collections::BTreeMap, env, time::Duration};
use tokio::{sync::Semaphore, time::Instant};

/// Kills besides those at chosen points.
const KILLS: u32 = 50;
/// A moment that does not come by then is now.
const MOMENT: Duration = Duration::from_millis(1_500);
/// Between looks at what is over within milliseconds.
const SOON: Duration = Duration::from_millis(1);
/// The right moment is found long before.
const SEARCH: Duration = Duration::from_mins(5);
/// How many payouts the client may be ahead of the kills.
const AHEAD: usize = 4;
/// One for each kill, and those.
const PAYOUTS: u32 = KILLS + 4;

/// Numbers that follow from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n).unwrap()).unwrap()
    }
}

/// From `COUNTERSIGN_KILL_SEED`, else a new one.
pub fn seed() -> u64 {
    match env::var("COUNTERSIGN_KILL_SEED") {
        Ok(text) => u64::from_str_radix(text.trim_start_matches("0x"), 16).expect("a seed in hexadecimal"),
        Err(_) => u64::from_le_bytes(client::Ambient::system().random().unwrap()),
    }
}

/// What becomes of the control plane when the relayer is killed before it could report.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Plane {
    /// It goes on, with whatever report still waits in its sockets.
    Continues,
    /// It dies, too, and with it every report that is under way.
    Dies,
}

pub struct Storm<'a> {
    system: &'a System,
    client: &'a Client,
    dice: Dice,
    /// How often each process was killed.
    fallen: BTreeMap<String, u32>,
}

impl<'a> Storm<'a> {
    pub const fn new(system: &'a System, client: &'a Client, seed: u64) -> Self {
        Self { system, client, dice: Dice(seed), fallen: BTreeMap::new() }
    }

    /// How often each process was killed.
    pub const fn fallen(&self) -> &BTreeMap<String, u32> {
        &self.fallen
    }

    /// Kills at seeded moments while the client submits.
    pub async fn rage(&mut self) {
        let (system, client) = (self.system, self.client);
        let turns = Semaphore::new(AHEAD);
        let submitting = async {
            for count in 1..=PAYOUTS {
                turns.acquire().await.unwrap().forget();
                if count.is_multiple_of(10) {
                    client.ask_too_much().await;
                } else {
                    client.pay().await;
                }
            }
        };
        let (dice, fallen) = (&mut self.dice, &mut self.fallen);
        let killing = async {
            for _ in 0..KILLS {
                moment(system, client, dice).await;
                let (name, pid) = victim(system, dice).await;
                kill(system, fallen, &name, pid).await;
                turns.add_permits(1);
            }
            println!("{} payouts were acknowledged during the storm", client.acknowledged().len());
        };
        tokio::join!(submitting, killing);
        self.system.ready().await;
    }

    /// Kills the relayer after the node has accepted its transaction and before the log can know: the control plane is
    /// stopped meanwhile, so that no report is answered.
    pub async fn between_acceptance_and_record(&mut self, plane: Plane) {
        let begin = Instant::now();
        for attempt in 0_u64.. {
            assert!(
                begin.elapsed() < SEARCH,
                "the relayer was always faster or slower than the control plane's stop, {attempt} times"
            );
            self.system.ready().await;
            let (relayer, control_plane) = (self.system.pid("relayer").await, self.system.pid("control-plane").await);
            let (id, told) = self.client.pay().await;
            // Signers that have not seen the proposal cannot sign it while the control plane is silent.
            looking(SOON, MOMENT, async || self.have_seen(told.seq).await.then_some(())).await;
            // Too early, and the relayer still needs the control plane; too late, and it has reported. In between lie a few
            // milliseconds that are sought.
            tokio::time::sleep(Duration::from_millis(attempt.rem_euclid(20))).await;
            System::signal(control_plane, Signal::STOP);
            let executed = within(Duration::from_secs(2), async || {
                self.system.executions().await.contains_key(id.digest()).then_some(())
            });
            let is_hit = executed.await.is_some() && !self.is_reported(&id);
            if is_hit {
                kill(self.system, &mut self.fallen, "relayer", relayer).await;
            }
            if is_hit && plane == Plane::Dies {
                kill(self.system, &mut self.fallen, "control-plane", control_plane).await;
            } else {
                System::signal(control_plane, Signal::CONT);
            }
            if is_hit {
                self.system.ready().await;
                return;
            }
        }
    }

    async fn have_seen(&self, seq: u64) -> bool {
        for signer in &self.system.record.signers {
            let metrics = self.system.text(&signer.url, "/metrics").await.unwrap_or_default();
            let entries = metrics.lines().find_map(|l| l.strip_prefix("countersign_signer_entries "));
            if entries.and_then(|n| n.parse().ok()).is_none_or(|n: u64| n <= seq) {
                return false;
            }
        }
        true
    }

    /// Whether the log says that a transaction was sent.
    fn is_reported(&self, proposal: &Cid) -> bool {
        let path = self.system.record.control_plane.database.strip_prefix("sqlite:").unwrap();
        let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let sql = "select count(*) from mentions where cid = ?1 and kind like '/execution/%'";
        database.query_row(sql, [proposal.digest().as_bytes()], |r| r.get::<_, i64>(0)).unwrap() > 0
    }
}

/// Kills a process, and waits until its death is noticed: nobody is killed twice.
async fn kill(system: &System, fallen: &mut BTreeMap<String, u32>, name: &str, pid: i32) {
    System::signal(pid, Signal::KILL);
    let noticed = within(Duration::from_secs(10), async || (system.pids()?.get(name) != Some(&pid)).then_some(()));
    assert!(noticed.await.is_some(), "nobody notices that {name} was killed");
    *fallen.entry(name.to_owned()).or_default() += 1;
}

/// Waits for something to happen; most moments are right after it, when the processes are at work on it.
async fn moment(system: &System, client: &Client, dice: &mut Dice) {
    let acknowledged = client.acknowledged().len();
    match dice.below(4) {
        0 => {}
        1 => {
            within(MOMENT, async || (client.acknowledged().len() > acknowledged).then_some(())).await;
        }
        2 => {
            let before = system.executions().await.len();
            within(MOMENT, async || (system.executions().await.len() > before).then_some(())).await;
        }
        _ => {
            let before = system.pids().unwrap_or_default();
            let started = |now: &BTreeMap<String, i32>| now.iter().any(|(name, pid)| before.get(name) != Some(pid));
            within(MOMENT, async || started(&system.pids()?).then_some(())).await;
        }
    }
}

/// One of those that run.
async fn victim(system: &System, dice: &mut Dice) -> (String, i32) {
    let all = system.processes();
    let first = dice.below(all.len());
    let running = async || {
        let pids = system.pids()?;
        all.iter().cycle().skip(first).take(all.len()).find_map(|name| Some((name.clone(), *pids.get(name)?)))
    };
    within(Duration::from_secs(30), running).await.expect("something is started again")
}
