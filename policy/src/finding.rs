use crate::lint::MAX_FINDINGS;
use serde::Serialize;
use std::fmt;

/// One reason why a bundle is not accepted, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The module's path inside the bundle, `data` for the data document, `bundle` for the bundle as a whole.
    pub file: String,
    /// Line, from 1; 1 when the finding is about the whole file.
    pub line: u32,
    /// Column in characters, from 1, a tab counted as four; 1 when the finding is about the whole line or file.
    pub column: u32,
    /// What is wrong and what is expected, for people.
    pub reason: String,
}

impl Finding {
    /// A finding about a file as a whole.
    pub(crate) fn whole(file: &str, reason: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: 1, column: 1, reason: reason.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.reason)
    }
}

/// A bundle is not accepted. Displays as one finding a line, `file:line:column: reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadError {
    findings: Vec<Finding>,
}

impl LoadError {
    /// The first [`MAX_FINDINGS`] findings in the order of file, line and column.
    pub(crate) fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort();
        findings.dedup();
        findings.truncate(MAX_FINDINGS);
        Self { findings }
    }

    /// A single finding about a file as a whole.
    pub(crate) fn whole(file: &str, reason: impl Into<String>) -> Self {
        Self { findings: vec![Finding::whole(file, reason)] }
    }

    /// What is wrong with the bundle: at least one finding and at most a hundred, sorted by file, line and column.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
}

impl std::error::Error for LoadError {}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, finding) in self.findings.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}
