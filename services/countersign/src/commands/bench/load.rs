//! Load in a closed loop: every worker does one thing at a time, and the next when that is done. With a pace, things are
//! due at fixed moments, and a late one counts from when it was due.

use super::{
    clock::instant,
    figure::{Latencies, latencies, nanoseconds, number},
};
use std::time::Duration;
use tokio::time::sleep_until;

/// Somebody who does one thing after the other.
pub trait Worker: Send + 'static {
    /// Does the next thing; `false` when nothing is left to do.
    fn turn(&mut self) -> impl Future<Output = anyhow::Result<bool>> + Send;
}

/// When to stop, and how quickly to go.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// No more is begun after this long.
    pub limit: Duration,
    /// Things a second of all workers together; as quickly as they can when `None`.
    pub pace: Option<f64>,
}

/// What was done.
#[derive(Debug)]
pub struct Done {
    /// How many things.
    pub count: u64,
    /// In which time, from the first beginning to the last end.
    pub elapsed: Duration,
    /// How long each took.
    pub latencies: Latencies,
}

impl Done {
    /// Things per second.
    pub fn rate(&self) -> f64 {
        number(self.count) / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Lets all workers work.
pub async fn run<W: Worker>(workers: Vec<W>, plan: Plan) -> anyhow::Result<Done> {
    let count = workers.len();
    // Everything is spawned and connected before the first thing is due.
    let start = instant().checked_add(Duration::from_millis(5)).unwrap_or_else(instant);
    let tasks: Vec<_> = (0_u32..)
        .zip(workers)
        .map(|(index, worker)| {
            let every = plan.pace.map(|pace| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / pace);
            let first = plan.pace.map_or(0.0, |pace| f64::from(index) / pace);
            tokio::spawn(work(worker, start, plan.limit, first, every))
        })
        .collect();
    let (mut all, mut end) = (latencies()?, start);
    for task in tasks {
        let (own, last) = task.await??;
        all.add(&own)?;
        end = end.max(last);
    }
    Ok(Done { count: all.len(), elapsed: end.saturating_duration_since(start), latencies: all })
}

async fn work<W: Worker>(
    mut worker: W,
    start: std::time::Instant,
    limit: Duration,
    first: f64,
    every: Option<f64>,
) -> anyhow::Result<(Latencies, std::time::Instant)> {
    let (mut own, mut end, mut due) = (latencies()?, start, first);
    sleep_until(start.into()).await;
    loop {
        let mut begin = instant();
        if let Some(every) = every {
            begin = start.checked_add(Duration::from_secs_f64(due)).unwrap_or(begin);
            due += every;
            sleep_until(begin.into()).await;
        }
        if begin.saturating_duration_since(start) >= limit || !worker.turn().await? {
            return Ok((own, end));
        }
        end = instant();
        own.record(nanoseconds(end.saturating_duration_since(begin)))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Steps(u32);

    impl Worker for Steps {
        async fn turn(&mut self) -> anyhow::Result<bool> {
            tokio::task::yield_now().await;
            match self.0.checked_sub(1) {
                Some(left) => self.0 = left,
                None => return Ok(false),
            }
            anyhow::ensure!(self.0 != 100, "a worker that fails");
            Ok(true)
        }
    }

    #[tokio::test]
    async fn every_turn_is_counted_once() {
        let plan = Plan { limit: Duration::from_mins(1), pace: None };
        let done = run(vec![Steps(5), Steps(7)], plan).await.unwrap();
        assert_eq!((done.count, done.latencies.len()), (12, 12));
        assert!(done.rate() > 0.0);
        let paced = Plan { pace: Some(1_000.0), ..plan };
        assert_eq!(run(vec![Steps(2), Steps(3)], paced).await.unwrap().count, 5);
        assert!(run(vec![Steps(101)], plan).await.is_err());
    }
}
