use client::Ambient;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(30);

/// Waits that double from 0.1 to 30 seconds, each shortened at random by up to half so that peers do not knock at once.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    next: Duration,
    ambient: Ambient,
}

impl Backoff {
    pub(crate) const fn new(ambient: Ambient) -> Self {
        Self { next: FIRST, ambient }
    }

    /// Back to the shortest wait, after something worked.
    pub(crate) const fn reset(&mut self) {
        self.next = FIRST;
    }

    /// How long to wait now.
    pub(crate) fn step(&mut self) -> Duration {
        let [random] = self.ambient.random::<1>().unwrap_or([0]);
        let wait = self.next.saturating_sub(self.next.mul_f64(f64::from(random) / 512.0));
        self.next = self.next.saturating_mul(2).min(LONGEST);
        wait
    }

    pub(crate) async fn wait(&mut self) {
        tokio::time::sleep(self.step()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Time;

    #[test]
    fn waits_double_up_to_the_longest_and_jitter_shortens_by_less_than_half() {
        for random in [0_u8, 255] {
            let ambient = Ambient::new(
                || Time::ZERO,
                move |b| {
                    b.fill(random);
                    true
                },
            );
            let mut backoff = Backoff::new(ambient);
            let waits: Vec<_> = (0..12).map(|_| backoff.step()).collect();
            assert!(waits[0] >= FIRST / 2 && waits[0] <= FIRST);
            assert!(waits[11] >= LONGEST / 2 && waits[11] <= LONGEST);
            assert!(waits.windows(2).all(|w| w[0] <= w[1]));
            backoff.reset();
            assert_eq!(backoff.step(), waits[0]);
        }
    }
}
