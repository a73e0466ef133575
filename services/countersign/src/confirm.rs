//! A person's word before something is signed.

use crate::{failure::Usage, lines::Lines, output::legible};
use anyhow::{Context as _, ensure};
use std::io::{BufRead, IsTerminal as _, Read as _, Write};

/// Nobody types more to say yes.
const LONGEST_ANSWER: u64 = 64;

/// Whether somebody is asked.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct ConfirmArgs {
    /// Sign what is shown without asking, for scripts
    #[arg(long)]
    yes: bool,
}

impl ConfirmArgs {
    /// Shows what is about to be signed, on standard error, and asks whether it is meant unless told not to. What
    /// cannot be shown is not signed.
    pub fn confirm(self, shown: &Lines) -> anyhow::Result<()> {
        let (stdin, stderr) = (std::io::stdin(), std::io::stderr());
        writeln!(stderr.lock(), "{}", legible(shown.text())).context("nothing is signed: it cannot be shown")?;
        if self.yes {
            return Ok(());
        }
        let has_terminal = stdin.is_terminal() && stderr.is_terminal();
        let silent = "nothing is signed: there is no terminal to ask at; read what is shown, and give --yes";
        ensure!(has_terminal, Usage(silent.to_owned()));
        ask(&mut stdin.lock(), &mut stderr.lock())
    }
}

fn ask(answers: &mut impl BufRead, prompt: &mut impl Write) -> anyhow::Result<()> {
    write!(prompt, "Sign this? Only yes is yes: ")?;
    prompt.flush()?;
    let mut line = String::new();
    let length = answers.take(LONGEST_ANSWER).read_line(&mut line)?;
    let is_whole = u64::try_from(length).is_ok_and(|length| length < LONGEST_ANSWER);
    ensure!(is_whole && line.trim() == "yes", "nothing is signed: it was not confirmed");
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for answer in ["yes\n", "yes", " yes \n"] {
            let mut prompt = Vec::new();
            ask(&mut answer.as_bytes(), &mut prompt).unwrap();
            assert_eq!(String::from_utf8(prompt).unwrap(), "Sign this? Only yes is yes: ");
        }
        let long = format!("yes{}but no\n", " ".repeat(100));
        for answer in ["", "\n", "y\n", "YES\n", "no\n", "yes please\n", "no\nyes\n", &long] {
            assert!(ask(&mut answer.as_bytes(), &mut Vec::new()).is_err(), "{answer:?}");
        }
        assert!(ask(&mut &b"\xff\xfe\n"[..], &mut Vec::new()).is_err());
    }
}
