//! A whole log as JSON lines, for carrying away and checking elsewhere.
//!
//! First line `{"countersign-export":1,"origin":…}`, then per entry `{"entry":b64,"tokens":[b64…]}` with the tokens that
//! the entry introduced, and `{"checkpoint":text}` wherever a checkpoint belongs. Base64 is the standard alphabet with
//! padding. Both directions stream: memory is bounded by one line.

use crate::{KeyName, MAX_ENTRY_BYTES, Note, NoteError};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Read, Write};

/// The only export format there is.
pub const EXPORT_VERSION: u64 = 1;

/// Most tokens that one entry introduces: the statement and its delegation chain.
pub const MAX_TOKENS: usize = 64;

/// Largest token in bytes, the same as an entry: nothing in the log is larger.
pub const MAX_TOKEN_BYTES: usize = 65_536;

/// Longest line in bytes: the largest entry with the most tokens, in base64, is about 5.7 MB.
pub const MAX_LINE_BYTES: u64 = 6 << 20;

/// One line after the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An entry, in the order of the log.
    Entry {
        /// The encoded entry; see [`crate::Entry::decode`].
        entry: Vec<u8>,
        /// The tokens that the entry introduced, the statement first.
        tokens: Vec<Vec<u8>>,
    },
    /// A checkpoint over entries that came before; its signatures are not checked.
    Checkpoint(Note),
}

/// An export cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The file or stream failed.
    #[error("the export cannot be written or read")]
    Io(#[source] io::Error),
    /// A line is longer than [`MAX_LINE_BYTES`].
    #[error("line {line} is longer than {MAX_LINE_BYTES} bytes")]
    LineTooLong {
        /// Line number, from 1.
        line: u64,
    },
    /// The last line lacks its newline: the export was cut short.
    #[error("line {line} is cut short")]
    Truncated {
        /// Line number, from 1.
        line: u64,
    },
    /// A line is not JSON of a known shape, or its base64 is not canonical.
    #[error("line {line} is malformed: {reason}")]
    Malformed {
        /// Line number, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The header names another version.
    #[error("export version {found} is not {EXPORT_VERSION}")]
    Version {
        /// The version found.
        found: u64,
    },
    /// An entry or token is too large, or an entry has too many tokens.
    #[error("line {line} is over a limit: {what}")]
    Limit {
        /// Line number, from 1.
        line: u64,
        /// What there is too much of.
        what: &'static str,
    },
    /// A checkpoint line holds no note.
    #[error("the note in line {line} is malformed")]
    Note {
        /// Line number, from 1.
        line: u64,
        /// What is wrong with it.
        #[source]
        source: NoteError,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    #[serde(rename = "countersign-export")]
    version: u64,
    origin: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryLine {
    entry: String,
    tokens: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointLine {
    checkpoint: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Entry(EntryLine),
    Checkpoint(CheckpointLine),
}

/// Writes an export line by line.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    line: u64,
}

/// Reads an export line by line; an iterator of records that ends after the first error.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    origin: KeyName,
    line: u64,
    done: bool,
}

fn check_limits(line: u64, entry: &[u8], tokens: &[Vec<u8>]) -> Result<(), ExportError> {
    let what = if entry.len() > MAX_ENTRY_BYTES {
        "bytes in the entry"
    } else if tokens.len() > MAX_TOKENS {
        "tokens"
    } else if tokens.iter().any(|t| t.len() > MAX_TOKEN_BYTES) {
        "bytes in a token"
    } else {
        return Ok(());
    };
    Err(ExportError::Limit { line, what })
}

impl<W: Write> Writer<W> {
    /// Begins an export of the log `origin`.
    pub fn new(out: W, origin: &KeyName) -> Result<Self, ExportError> {
        let mut writer = Self { out, line: 0 };
        writer.put(&Header { version: EXPORT_VERSION, origin: origin.to_string() })?;
        Ok(writer)
    }

    /// Writes one record.
    pub fn write(&mut self, record: &Record) -> Result<(), ExportError> {
        match record {
            Record::Entry { entry, tokens } => {
                check_limits(self.line.saturating_add(1), entry, tokens)?;
                let tokens = tokens.iter().map(|t| STANDARD.encode(t)).collect();
                self.put(&EntryLine { entry: STANDARD.encode(entry), tokens })
            }
            Record::Checkpoint(note) => self.put(&CheckpointLine { checkpoint: note.to_string() }),
        }
    }

    /// Flushes, and gives the underlying writer back.
    pub fn finish(mut self) -> Result<W, ExportError> {
        self.out.flush().map_err(ExportError::Io)?;
        Ok(self.out)
    }

    fn put(&mut self, value: &impl Serialize) -> Result<(), ExportError> {
        self.line = self.line.saturating_add(1);
        serde_json::to_writer(&mut self.out, value).map_err(|e| ExportError::Io(e.into()))?;
        self.out.write_all(b"\n").map_err(ExportError::Io)
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads the header line.
    pub fn new(input: R) -> Result<Self, ExportError> {
        let mut input = input;
        let malformed = |reason: String| ExportError::Malformed { line: 1, reason };
        let line = next_line(&mut input, 1)?.ok_or_else(|| malformed("there is no header".to_owned()))?;
        let header: Header = serde_json::from_slice(&line).map_err(|e| malformed(e.to_string()))?;
        if header.version != EXPORT_VERSION {
            return Err(ExportError::Version { found: header.version });
        }
        let origin = header.origin.parse().map_err(|e: crate::ParseKeyError| malformed(e.to_string()))?;
        Ok(Self { input, origin, line: 1, done: false })
    }

    /// The log that the export says it is of.
    pub const fn origin(&self) -> &KeyName {
        &self.origin
    }

    fn read(&mut self) -> Result<Option<Record>, ExportError> {
        self.line = self.line.saturating_add(1);
        let line = self.line;
        let Some(bytes) = next_line(&mut self.input, line)? else { return Ok(None) };
        let malformed = |reason: String| ExportError::Malformed { line, reason };
        match serde_json::from_slice(&bytes).map_err(|e| malformed(e.to_string()))? {
            Line::Checkpoint(c) => {
                let note = Note::parse(&c.checkpoint).map_err(|source| ExportError::Note { line, source })?;
                Ok(Some(Record::Checkpoint(note)))
            }
            Line::Entry(e) => {
                let decode = |text: &String| STANDARD.decode(text).map_err(|e| malformed(e.to_string()));
                let entry = decode(&e.entry)?;
                let tokens = e.tokens.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
                check_limits(line, &entry, &tokens)?;
                Ok(Some(Record::Entry { entry, tokens }))
            }
        }
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Record, ExportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let record = self.read().transpose();
        self.done = !matches!(record, Some(Ok(_)));
        record
    }
}

/// The next line without its newline; `None` at the end of the input.
fn next_line(input: &mut impl BufRead, line: u64) -> Result<Option<Vec<u8>>, ExportError> {
    let mut bytes = Vec::new();
    let read = input.take(MAX_LINE_BYTES).read_until(b'\n', &mut bytes).map_err(ExportError::Io)?;
    if read == 0 {
        return Ok(None);
    }
    if bytes.pop() == Some(b'\n') {
        return Ok(Some(bytes));
    }
    let full = u64::try_from(read).is_ok_and(|n| n >= MAX_LINE_BYTES);
    Err(if full { ExportError::LineTooLong { line } } else { ExportError::Truncated { line } })
}
