//! The measurements' own clock.

use std::time::Instant;

/// A moment of the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "measuring is reading the clock")]
pub fn instant() -> Instant {
    Instant::now()
}
