use std::{sync::Arc, time::Duration};
use storage::Storage;
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

/// Reads of the database at once, waiting ones included: more would only wait longer for its few connections.
const READS: usize = 128;

/// The only way from requests to the database: on threads that may wait, never too many, never for too long.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    storage: Arc<Storage>,
    turns: Arc<Semaphore>,
    patience: Duration,
}

/// The database could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadFailed {
    /// Too many reads are waiting for it.
    Busy,
    /// It does not answer.
    Unavailable,
}

impl Gate {
    pub fn new(storage: Arc<Storage>, patience: Duration) -> Self {
        Self { storage, turns: Arc::new(Semaphore::new(READS)), patience }
    }

    /// Runs `read` where waiting is allowed. A read that takes too long is given up on, and keeps its turn until it ends.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Storage) -> Result<T, storage::Error> + Send + 'static,
    ) -> Result<T, ReadFailed> {
        let turn = Arc::clone(&self.turns).try_acquire_owned().map_err(|_| ReadFailed::Busy)?;
        let storage = Arc::clone(&self.storage);
        let task = spawn_blocking(move || {
            let _turn = turn;
            read(&storage)
        });
        match timeout(self.patience, task).await {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, "a read failed");
                Err(ReadFailed::Unavailable)
            }
            Ok(Err(_)) | Err(_) => Err(ReadFailed::Unavailable),
        }
    }
}
