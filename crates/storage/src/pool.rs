//! A small pool of read connections, opened when first needed.

use crate::Error;
use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// How long a reader waits for a connection before it gives up: long enough for a burst, short enough for a request.
const WAIT: Duration = Duration::from_secs(5);

/// Locks `mutex`. A panic elsewhere leaves no broken state behind: connections roll back what was not committed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, thiserror::Error)]
#[error("all read connections are busy")]
struct Exhausted;

struct Slots<C> {
    idle: Vec<C>,
    /// Connections that may still be opened.
    free: usize,
}

/// At most `size` connections, lent to one caller each.
pub(crate) struct Pool<C> {
    slots: Mutex<Slots<C>>,
    returned: Condvar,
}

impl<C> Pool<C> {
    pub fn new(size: usize) -> Self {
        Self { slots: Mutex::new(Slots { idle: Vec::new(), free: size }), returned: Condvar::new() }
    }

    /// Runs `read` on a connection, opening one with `open` if none is idle. A connection that `is_broken` after the
    /// read is closed together with the idle ones, which have most likely met the same fate.
    pub fn with<T>(
        &self,
        open: impl FnOnce() -> Result<C, Error>,
        is_broken: impl FnOnce(&C) -> bool,
        read: impl FnOnce(&mut C) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let idle = self.take()?;
        // From here on the slot is given back whatever happens, a panic in `read` included.
        let mut loan = Loan { pool: self, connection: None };
        let mut connection = match idle {
            Some(connection) => connection,
            None => open()?,
        };
        let result = read(&mut connection);
        if is_broken(&connection) {
            let mut slots = lock(&self.slots);
            let stale = std::mem::take(&mut slots.idle);
            slots.free = slots.free.saturating_add(stale.len());
            drop(slots);
            self.returned.notify_all();
            drop(stale);
        } else {
            loan.connection = Some(connection);
        }
        result
    }

    /// Takes all idle connections out.
    pub fn drain(&self) -> Vec<C> {
        std::mem::take(&mut lock(&self.slots).idle)
    }

    fn take(&self) -> Result<Option<C>, Error> {
        let slots = lock(&self.slots);
        let (mut slots, _) = self
            .returned
            .wait_timeout_while(slots, WAIT, |s| s.idle.is_empty() && s.free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = slots.idle.pop() {
            return Ok(Some(connection));
        }
        match slots.free.checked_sub(1) {
            Some(free) => {
                slots.free = free;
                Ok(None)
            }
            None => Err(Error::Unavailable(Box::new(Exhausted))),
        }
    }
}

struct Loan<'a, C> {
    pool: &'a Pool<C>,
    connection: Option<C>,
}

impl<C> Drop for Loan<'_, C> {
    fn drop(&mut self) {
        let mut slots = lock(&self.pool.slots);
        match self.connection.take() {
            Some(connection) => slots.idle.push(connection),
            None => slots.free = slots.free.saturating_add(1),
        }
        drop(slots);
        self.pool.returned.notify_one();
    }
}
