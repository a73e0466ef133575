use crate::output::Output;
use serde::Serialize;
use std::time::Duration;
use tokio::time::Instant;

/// Tells what happens, how long it takes, and that it was seen.
pub struct Story {
    out: Output,
    chapter: u32,
    title: String,
    began: Instant,
    since: Instant,
    steps: u32,
}

#[derive(Serialize)]
struct Step<'a> {
    chapter: u32,
    title: &'a str,
    seen: &'a str,
    milliseconds: u128,
}

#[derive(Serialize)]
struct End {
    steps: u32,
    milliseconds: u128,
}

/// Longer lines are hard to read.
const WIDTH: usize = 96;

impl Story {
    /// Begins.
    pub fn new(out: Output) -> Self {
        let now = Instant::now();
        Self { out, chapter: 0, title: String::new(), began: now, since: now, steps: 0 }
    }

    /// A new chapter: what it is called and what it is about.
    pub fn chapter(&mut self, title: &str, explanation: &str) {
        self.chapter = self.chapter.saturating_add(1);
        title.clone_into(&mut self.title);
        self.since = Instant::now();
        if !self.out.is_json() {
            let _ = self.out.show(&(), &format!("\n{}. {title}\n{}", self.chapter, wrapped(explanation)));
        }
    }

    /// Something on the way to the next tick.
    pub fn sub(&self, text: &str) {
        if !self.out.is_json() {
            let _ = self.out.show(&(), &format!("     · {text}"));
        }
    }

    /// Something was seen to hold.
    pub fn done(&mut self, seen: &str) -> anyhow::Result<()> {
        let took = self.since.elapsed();
        self.since = Instant::now();
        self.steps = self.steps.saturating_add(1);
        let step = Step { chapter: self.chapter, title: &self.title, seen, milliseconds: took.as_millis() };
        self.out.show(&step, &format!("   ✓ {seen}  ({})", shown(took)))
    }

    /// Everything was seen.
    pub fn end(&self) -> anyhow::Result<()> {
        let took = self.began.elapsed();
        let end = End { steps: self.steps, milliseconds: took.as_millis() };
        self.out.show(&end, &format!("\nAll {} steps were seen, in {}.", self.steps, shown(took)))
    }
}

fn shown(took: Duration) -> String {
    format!("{:.2} s", took.as_secs_f64())
}

fn wrapped(text: &str) -> String {
    let mut lines = vec![String::from("  ")];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count().saturating_add(word.chars().count()) < WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("   {word}")),
        }
    }
    lines.join("\n")
}
