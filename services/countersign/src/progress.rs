//! How far something slow has come, told by counts: a fast machine talks often, a slow one seldom, and a short log not
//! at all.

use replica::Milestones;
use std::{
    io::{self, Read},
    num::NonZeroU64,
};

const MEBIBYTE: u64 = 1024 * 1024;
/// Of an export, about ten thousand entries.
const BYTES: NonZeroU64 = NonZeroU64::MIN.saturating_add(16 * MEBIBYTE - 1);

/// Tells how much of something is done.
pub struct Progress<T> {
    milestones: Milestones,
    unit: u64,
    name: &'static str,
    total: Option<u64>,
    tell: T,
}

impl<T: FnMut(&str)> Progress<T> {
    /// Counts entries of a log that has `total`.
    pub const fn entries(total: u64, tell: T) -> Self {
        Self { milestones: Milestones::every(Milestones::ENTRIES), unit: 1, name: "entries", total: Some(total), tell }
    }

    /// Counts bytes of a file that has `total`, if that is known.
    pub const fn bytes(total: Option<u64>, tell: T) -> Self {
        Self { milestones: Milestones::every(BYTES), unit: MEBIBYTE, name: "MiB", total, tell }
    }

    /// So much is done now.
    pub fn come_to(&mut self, done: u64) {
        if !self.milestones.reached(done) {
            return;
        }
        let (done, name) = (done.div_euclid(self.unit.max(1)), self.name);
        match self.total.map(|total| total.div_ceil(self.unit.max(1))) {
            Some(total) => (self.tell)(&format!("{done} of {total} {name}")),
            None => (self.tell)(&format!("{done} {name}")),
        }
    }
}

/// Counts what is read.
pub struct Watched<R, T> {
    inner: R,
    read: u64,
    progress: Progress<T>,
}

impl<R, T: FnMut(&str)> Watched<R, T> {
    /// Tells how much of `inner` has been read.
    pub const fn new(inner: R, progress: Progress<T>) -> Self {
        Self { inner, read: 0, progress }
    }
}

impl<R: Read, T: FnMut(&str)> Read for Watched<R, T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read = self.read.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        self.progress.come_to(self.read);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    #[test]
    fn a_long_file_is_told_by_mebibytes() {
        let mut told = Vec::new();
        let progress = Progress::bytes(Some(50 * MEBIBYTE + 1), |line: &str| told.push(line.to_owned()));
        let mut input = BufReader::new(Watched::new(io::repeat(b'x').take(50 * MEBIBYTE + 1), progress));
        assert_eq!(io::copy(&mut input, &mut io::sink()).unwrap(), 50 * MEBIBYTE + 1);
        drop(input);
        assert_eq!(told, ["16 of 51 MiB", "32 of 51 MiB", "48 of 51 MiB"]);
    }

    #[test]
    fn a_pipe_has_no_end_that_could_be_told_and_a_short_file_nothing_to_tell() {
        for (length, expected) in [(20 * MEBIBYTE, vec!["16 MiB"]), (15 * MEBIBYTE, vec![])] {
            let mut told = Vec::new();
            let progress = Progress::bytes(None, |line: &str| told.push(line.to_owned()));
            let mut input = BufReader::new(Watched::new(io::repeat(b'x').take(length), progress));
            io::copy(&mut input, &mut io::sink()).unwrap();
            drop(input);
            assert_eq!(told, expected);
        }
    }
}
