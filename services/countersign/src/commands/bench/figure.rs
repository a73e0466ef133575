//! What was measured, beside what was aimed at.

use hdrhistogram::Histogram;
use serde::Serialize;
use std::{fmt::Write as _, time::Duration};

/// What a value should be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "must_be", content = "bound", rename_all = "snake_case")]
pub enum Aim {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// What the bare primitives of this kind cost on the reference machine: the value cannot be much below it.
    Floor(f64),
}

/// One number.
#[expect(clippy::struct_field_names, reason = "the JSON says `value` where the number is")]
#[derive(Clone, Debug, Serialize)]
pub struct Value {
    name: &'static str,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<Aim>,
    /// Absent without an aim, and beside a floor, which nothing reaches by being quick.
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<bool>,
}

/// One measurement: its values, or why there are none.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    bench: &'static str,
    case: String,
    values: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_measured: Option<String>,
}

/// Latencies in nanoseconds with three significant digits.
pub type Latencies = Histogram<u64>;

/// An empty histogram.
pub fn latencies() -> anyhow::Result<Latencies> {
    Ok(Histogram::new(3)?)
}

/// A duration for a histogram.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A count as a number to calculate with; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts of events stay far below 2^53")]
pub const fn number(count: u64) -> f64 {
    count as f64
}

/// The value below which this share of the latencies lies, in nanoseconds.
pub fn quantile(latencies: &Latencies, share: f64) -> f64 {
    number(latencies.value_at_quantile(share))
}

impl Figure {
    /// A measurement without values yet.
    pub fn new(bench: &'static str, case: impl Into<String>) -> Self {
        Self { bench, case: case.into(), values: Vec::new(), note: None, not_measured: None }
    }

    /// A measurement that could not be made.
    pub fn missing(bench: &'static str, case: impl Into<String>, why: impl Into<String>) -> Self {
        Self { not_measured: Some(why.into()), ..Self::new(bench, case) }
    }

    /// With a value that has no aim.
    #[must_use]
    pub fn with(self, name: &'static str, value: f64, unit: &'static str) -> Self {
        self.value(name, value, unit, None)
    }

    /// With a value that has an aim.
    #[must_use]
    pub fn against(self, name: &'static str, value: f64, unit: &'static str, aim: Aim) -> Self {
        self.value(name, value, unit, Some(aim))
    }

    /// With a value and perhaps an aim.
    #[must_use]
    pub fn value(mut self, name: &'static str, value: f64, unit: &'static str, aim: Option<Aim>) -> Self {
        let reached = match aim {
            Some(Aim::AtLeast(bound)) => Some(value >= bound),
            Some(Aim::AtMost(bound)) => Some(value <= bound),
            Some(Aim::Floor(_)) | None => None,
        };
        self.values.push(Value { name, value, unit, aim, reached });
        self
    }

    /// With what a reader has to know.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }

    /// Whether there are values.
    #[cfg(test)]
    pub const fn is_measured(&self) -> bool {
        self.not_measured.is_none()
    }
}

const HEADINGS: [&str; 5] = ["measurement", "", "value", "aim", "reached"];

/// The figures as lines of text in columns.
pub fn table(figures: &[Figure]) -> String {
    let mut rows: Vec<[String; 5]> = vec![HEADINGS.map(str::to_owned)];
    for figure in figures {
        let mut title = format!("{} · {}", figure.bench, figure.case);
        if let Some(why) = &figure.not_measured {
            let title = std::mem::take(&mut title);
            rows.push([title, String::new(), format!("not measured: {why}"), String::new(), String::new()]);
        }
        for value in &figure.values {
            let title = std::mem::take(&mut title);
            let reached = value.reached.map_or("", |yes| if yes { "yes" } else { "NO" });
            let shown = format!("{} {}", plain(value.value), value.unit);
            rows.push([title, value.name.to_owned(), shown, aim(value), reached.to_owned()]);
        }
    }
    let mut widths = [0_usize; 5];
    for row in rows.iter().filter(|r| !r.iter().any(|c| c.starts_with("not measured"))) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    for figure in figures {
        if let Some(note) = &figure.note {
            let _ = writeln!(text, "\n{} · {}: {note}", figure.bench, figure.case);
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn aim(value: &Value) -> String {
    match value.aim {
        None => String::new(),
        Some(Aim::AtLeast(bound)) => format!("≥ {}", plain(bound)),
        Some(Aim::AtMost(bound)) => format!("≤ {}", plain(bound)),
        Some(Aim::Floor(bound)) => format!("floor {}", plain(bound)),
    }
}

/// Three digits or more, thousands apart.
fn plain(value: f64) -> String {
    let decimals = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    let text = format!("{value:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((text.as_str(), ""));
    let mut grouped = String::new();
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && whole.len().saturating_sub(i).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    if fraction.is_empty() { grouped } else { format!("{grouped}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_says_whether_its_aim_is_reached() {
        let figure = Figure::new("proposals", "sqlite, 512 in flight")
            .against("rate", 8_123.0, "/s", Aim::AtLeast(8_000.0))
            .against("p99", 25.5, "ms", Aim::AtMost(25.0))
            .against("cold", 190.0, "µs", Aim::Floor(180.0));
        let reached: Vec<_> = figure.values.iter().map(|v| v.reached).collect();
        assert_eq!(reached, [Some(true), Some(false), None]);
        let text = table(&[figure, Figure::missing("proposals", "postgres", "no PostgreSQL URL")]);
        assert!(text.contains("8 123 /s") && text.contains("≥ 8 000") && text.contains("yes"), "{text}");
        assert!(text.contains("25.5 ms") && text.contains("NO") && text.contains("floor 180"), "{text}");
        assert!(text.contains("proposals · postgres") && text.contains("not measured: no PostgreSQL URL"), "{text}");
    }

    #[test]
    fn numbers_are_grouped() {
        let shown = [0.25, 12.5, 999.0, 1_000.0, 1_234_567.0].map(plain);
        assert_eq!(shown, ["0.25", "12.5", "999", "1 000", "1 234 567"]);
    }
}
