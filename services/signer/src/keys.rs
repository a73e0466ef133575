//! The node's key shares: one encrypted file per key generation, all in memory while it runs.

use crate::Config;
use domain::Digest;
use keyfile::Kind;
use ledger::Quorum;
use rand_core::OsRng;
use std::{
    fs,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};
use threshold::{Ed25519, KeyShare, Secp256k1, dkg};
use zeroize::Zeroizing;

/// The key shares of one key generation.
pub(crate) struct Shares {
    pub secp256k1: KeyShare<Secp256k1>,
    pub ed25519: KeyShare<Ed25519>,
}

pub(crate) struct Keys {
    folder: PathBuf,
    all: RwLock<Vec<Arc<Shares>>>,
}

/// Key shares cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The folder cannot be read or made.
    #[error("the folder of key shares {} cannot be used", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file does not open.
    #[error(transparent)]
    Open(#[from] keyfile::OpenError),
    /// A file cannot be written.
    #[error(transparent)]
    Create(#[from] keyfile::CreateError),
    /// What is in a file is not a pair of key shares.
    #[error("{} does not hold key shares", path.display())]
    Content {
        /// The file.
        path: PathBuf,
    },
}

/// Length prefix of the first share in a file.
const PREFIX: usize = 4;

impl Keys {
    /// Opens every share in the data folder.
    pub fn load(config: &Config) -> Result<Self, KeysError> {
        let folder = config.data.join("shares");
        let failed = |source| KeysError::Folder { path: folder.clone(), source };
        fs::create_dir_all(&folder).map_err(failed)?;
        let mut paths = fs::read_dir(&folder)
            .and_then(|dir| dir.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>())
            .map_err(failed)?;
        paths.retain(|p| p.extension().is_some_and(|e| e == "key"));
        paths.sort();
        let mut all = Vec::new();
        for path in paths {
            let secret = keyfile::open(&path, &config.passphrase, Kind::FROST_SHARE)?;
            all.push(Arc::new(unpack(&secret).ok_or(KeysError::Content { path })?));
        }
        Ok(Self { folder, all: RwLock::new(all) })
    }

    /// Keeps the shares of a finished key generation: in a new file first, then in memory.
    pub fn keep(&self, config: &Config, ceremony: &Digest, keys: dkg::Keys) -> Result<(), KeysError> {
        let secret = pack(&keys).ok_or(KeysError::Content { path: self.folder.clone() })?;
        let name = format!("epoch-{}-{}.key", keys.secp256k1.epoch(), ceremony);
        keyfile::create(&self.folder.join(name), &config.passphrase, Kind::FROST_SHARE, &secret, &mut OsRng)?;
        let shares = Shares { secp256k1: keys.secp256k1, ed25519: keys.ed25519 };
        self.all.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(shares));
        Ok(())
    }

    /// The shares of the active quorum's keys. Several key generations may have been run for one epoch; the log says
    /// which of them counts.
    pub fn of(&self, quorum: &Quorum) -> Option<Arc<Shares>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().find(|s| is_of(s, quorum)).cloned()
    }

    /// The epochs that shares are held for.
    pub fn epochs(&self) -> Vec<u64> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let mut epochs: Vec<u64> = all.iter().map(|s| s.secp256k1.epoch()).collect();
        epochs.sort_unstable();
        epochs.dedup();
        epochs
    }
}

fn is_of(shares: &Shares, quorum: &Quorum) -> bool {
    let same = |package: Result<Vec<u8>, threshold::KeyError>, hex: &str| {
        package.is_ok_and(|bytes| messages::Hex(bytes).to_text() == hex)
    };
    shares.secp256k1.epoch() == quorum.epoch
        && same(shares.secp256k1.group().to_bytes(), &quorum.packages.secp256k1)
        && same(shares.ed25519.group().to_bytes(), &quorum.packages.ed25519)
        && same(shares.secp256k1.group().verifying_key(), &quorum.keys.secp256k1)
        && shares.ed25519.group().verifying_key().is_ok_and(|k| k.as_slice() == quorum.keys.ed25519.key())
}

fn pack(keys: &dkg::Keys) -> Option<Zeroizing<Vec<u8>>> {
    let first = keys.secp256k1.to_secret_bytes().ok()?;
    let second = keys.ed25519.to_secret_bytes().ok()?;
    let mut all = Zeroizing::new(Vec::with_capacity(PREFIX.checked_add(first.len())?.checked_add(second.len())?));
    all.extend_from_slice(&u32::try_from(first.len()).ok()?.to_be_bytes());
    all.extend_from_slice(&first);
    all.extend_from_slice(&second);
    Some(all)
}

fn unpack(secret: &[u8]) -> Option<Shares> {
    let (prefix, rest) = secret.split_at_checked(PREFIX)?;
    let len = usize::try_from(u32::from_be_bytes(prefix.try_into().ok()?)).ok()?;
    let (first, second) = rest.split_at_checked(len)?;
    Some(Shares {
        secp256k1: KeyShare::from_secret_bytes(first).ok()?,
        ed25519: KeyShare::from_secret_bytes(second).ok()?,
    })
}
