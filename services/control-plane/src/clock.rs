//! The only place that asks the machine what time it is; everything else is told.

use domain::Time;
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall clock in whole Unix seconds; a clock before 1970 reads as 0, which refuses everything.
#[expect(clippy::disallowed_methods, reason = "the service's one wall clock")]
pub(crate) fn now() -> Time {
    Time::from_unix(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()))
}

/// A moment for measuring how long something takes or when to do it next.
#[expect(clippy::disallowed_methods, reason = "the service's one monotonic clock")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// How long this thread has computed. Whatever else the machine does does not count.
pub(crate) fn computed() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}
