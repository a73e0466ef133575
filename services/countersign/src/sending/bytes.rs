//! Signed bytes in a file, to be sent again.

use crate::failure::Usage;
use client::Statement;
use domain::{Cid, Time};
use messages::MAX_STATEMENT;
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};
use ucan::{Limits, Token, container};

/// Whoever has the bytes can send them: read and write for the owner, nothing for anyone else.
const PRIVATE: u32 = 0o600;

/// Where signed bytes are, or would be.
#[derive(Debug)]
pub struct Kept {
    id: Cid,
    /// Where they are. An error when they could not be written.
    file: Option<io::Result<PathBuf>>,
    /// Whether the file was made to be removed when there is an answer.
    is_spare: bool,
    /// Whether the bytes may have been sent before.
    is_old: bool,
}

impl Kept {
    /// New bytes, which are nowhere yet.
    pub const fn nowhere(id: Cid) -> Self {
        Self { id, file: None, is_spare: false, is_old: false }
    }

    /// New bytes, which somebody has asked for in `file`, in place of what was there.
    pub fn save(said: &Statement, file: &Path) -> Result<Self, Usage> {
        replace(file, &said.container).map_err(|e| Usage(format!("cannot write {}: {e}", file.display())))?;
        Ok(Self { file: Some(Ok(file.to_owned())), ..Self::nowhere(said.id) })
    }

    /// Bytes that were found in `file`.
    pub fn found(id: Cid, file: &Path) -> Self {
        Self { file: Some(Ok(file.to_owned())), is_old: true, ..Self::nowhere(id) }
    }

    /// Whether the bytes may have been sent before.
    pub const fn is_old(&self) -> bool {
        self.is_old
    }

    /// Where they are; `None` when nobody has asked for that.
    pub fn into_file(self) -> Option<io::Result<PathBuf>> {
        self.file
    }

    /// Writes them to a file with the statement's name, unless they are in one: here, or among temporary files where
    /// nothing can be written here.
    pub fn write(&mut self, container: &[u8]) {
        if self.file.is_some() {
            return;
        }
        let name = format!("{}.ucan", self.id);
        let written = make(Path::new(&name), container).or_else(|_| make(&std::env::temp_dir().join(&name), container));
        self.is_spare = matches!(&written, Ok((_, true)));
        self.file = Some(written.map(|(file, _)| file));
    }

    /// Removes the file again, if it was made here.
    pub fn remove(&self) {
        if let (true, Some(Ok(file))) = (self.is_spare, &self.file) {
            // One that stays does no harm: the bytes count once.
            let _ = fs::remove_file(file);
        }
    }
}

/// Makes a file with these bytes, and says whether it is new. One that has them already will do.
fn make(path: &Path, container: &[u8]) -> io::Result<(PathBuf, bool)> {
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && fs::read(path)?.trim_ascii() == container => {
            return Ok((path.to_owned(), false));
        }
        Err(error) => return Err(error),
    };
    write_all(&mut file, container)?;
    Ok((path.to_owned(), true))
}

fn write_all(file: &mut File, container: &[u8]) -> io::Result<()> {
    file.write_all(container)?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn replace(path: &Path, container: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(path)?;
    // A pipe or a terminal is left as it is.
    if !file.metadata()?.is_file() {
        return file.write_all(container);
    }
    // The mode above counts for a new file only.
    file.set_permissions(Permissions::from_mode(PRIVATE))?;
    write_all(&mut file, container)
}

/// A statement that was kept in a file, and its command.
pub fn read(path: &Path) -> Result<(String, Statement), Usage> {
    let wrong = |what: &dyn std::fmt::Display| Usage(format!("{}: {what}", path.display()));
    let mut bytes = Vec::new();
    // One byte more than any statement has, so that a longer file is refused and not cut.
    let limit = u64::try_from(MAX_STATEMENT).unwrap_or(u64::MAX).saturating_add(1);
    let file = File::open(path).map_err(|e| wrong(&e))?;
    file.take(limit).read_to_end(&mut bytes).map_err(|e| wrong(&e))?;
    let container = bytes.trim_ascii().to_vec();
    let limits = Limits { max_container_bytes: MAX_STATEMENT, max_inflated_bytes: MAX_STATEMENT, ..Limits::default() };
    let tokens =
        container::decode(&container, &limits).map_err(|e| wrong(&format_args!("no signed statement: {e}")))?;
    let mut invocations = Vec::new();
    for token in tokens {
        if let Token::Invocation(said) = ucan::open(&token).map_err(|e| wrong(&e))? {
            invocations.push(said);
        }
    }
    let [said] = invocations.as_slice() else {
        return Err(wrong(&format_args!("{} signed statements where one is expected", invocations.len())));
    };
    // What never ends is refused by the control plane.
    let expires_at = said.expiration().unwrap_or(Time::from_unix(u64::MAX));
    Ok((said.command().to_string(), Statement { id: said.cid(), container, expires_at }))
}
