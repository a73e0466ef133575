//! The one place where this crate reads the clock and the system's randomness.

use domain::Time;
use std::{fmt, sync::Arc};

type Fill = dyn Fn(&mut [u8]) -> bool + Send + Sync;

/// Where time and randomness come from: the system, or what a test says.
#[derive(Clone)]
pub struct Ambient {
    now: Arc<dyn Fn() -> Time + Send + Sync>,
    fill: Arc<Fill>,
}

impl Ambient {
    /// The system's clock and randomness.
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    pub fn system() -> Self {
        let now = || {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            Time::from_unix(since.map_or(0, |d| d.as_secs()))
        };
        Self { now: Arc::new(now), fill: Arc::new(|bytes| getrandom::getrandom(bytes).is_ok()) }
    }

    /// Time and randomness as two closures; `fill` says whether it could.
    pub fn new(
        now: impl Fn() -> Time + Send + Sync + 'static,
        fill: impl Fn(&mut [u8]) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { now: Arc::new(now), fill: Arc::new(fill) }
    }

    /// The moment it is.
    pub fn now(&self) -> Time {
        (self.now)()
    }

    /// Fresh random bytes; `None` when the system has none to give.
    pub fn random<const N: usize>(&self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        (self.fill)(&mut bytes).then_some(bytes)
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ambient")
    }
}
