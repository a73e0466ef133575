//! Moments as people read them, the same wherever the machine is.

use domain::Time;

/// Days from the first of March of the year 0 to the start of the Unix epoch.
const BEFORE_1970: u64 = 719_468;
/// Days of 400 years, after which leap years repeat.
const CYCLE: u64 = 146_097;

/// Such as `2026-11-21 06:45:02 UTC`.
pub fn text(time: Time) -> String {
    let (year, month, day) = date(time.day());
    let second = time.unix() % 86_400;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// The Gregorian date of a day since the Unix epoch, by counting years from March: leap days come last then.
fn date(day: u64) -> (u64, u64, u64) {
    let days = day.saturating_add(BEFORE_1970);
    let (cycle, day) = (days / CYCLE, days % CYCLE);
    let leap_days = (day / 1_460).saturating_add(day / 146_096);
    let year = day.saturating_sub(leap_days).saturating_add(day / 36_524) / 365;
    let before = year.saturating_mul(365).saturating_add(year / 4).saturating_sub(year / 100);
    let day = day.saturating_sub(before);
    let month = day.saturating_mul(5).saturating_add(2) / 153;
    let day = day.saturating_sub(month.saturating_mul(153).saturating_add(2) / 5).saturating_add(1);
    let year = cycle.saturating_mul(400).saturating_add(year);
    if month < 10 {
        (year, month.saturating_add(3), day)
    } else {
        (year.saturating_add(1), month.saturating_sub(9), day)
    }
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        for (unix, expected) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (951_868_800, "2000-03-01 00:00:00 UTC"),
            (1_704_067_199, "2023-12-31 23:59:59 UTC"),
            (1_709_164_800, "2024-02-29 00:00:00 UTC"),
            (1_795_243_502, "2026-11-21 06:45:02 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
            (253_402_300_799, "9999-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(text(Time::from_unix(unix)), expected);
        }
        assert!(text(Time::from_unix(u64::MAX)).ends_with(" UTC"));
    }

    #[test]
    fn days_follow_each_other() {
        let mut last = date(0);
        for day in 1..200_000 {
            let next = date(day);
            let (year, month, first) = (next.0, next.1, next.2 == 1);
            if first {
                assert!(
                    last.2 >= 28 && (year, month) == if last.1 == 12 { (last.0 + 1, 1) } else { (last.0, last.1 + 1) }
                );
            } else {
                assert_eq!(next, (last.0, last.1, last.2 + 1));
            }
            last = next;
        }
    }
}
