use crate::{CreateError, Hardness, Kind, MAX_SECRET, OpenError, Passphrase, sealed};
use rand_core::CryptoRngCore;
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// Base64 of the largest secret and the other fields.
const MAX_FILE: u64 = 98_304;
/// Read and write for the owner, nothing for anyone else.
const PRIVATE: u32 = 0o600;
/// Permission bits of everyone but the owner.
pub(crate) const OTHERS: u32 = 0o077;

/// Writes `secret` (1 to [`MAX_SECRET`] bytes) to a new key file. The file appears whole and durable or not at all.
pub fn create(
    path: &Path,
    passphrase: &Passphrase,
    kind: Kind,
    secret: &[u8],
    rng: &mut impl CryptoRngCore,
) -> Result<(), CreateError> {
    create_with(Hardness::Standard, path, passphrase, kind, secret, rng)
}

/// As [`create`], with the price of a guess said explicitly.
pub fn create_with(
    hardness: Hardness,
    path: &Path,
    passphrase: &Passphrase,
    kind: Kind,
    secret: &[u8],
    rng: &mut impl CryptoRngCore,
) -> Result<(), CreateError> {
    if secret.is_empty() || secret.len() > MAX_SECRET {
        return Err(CreateError::SecretSize { len: secret.len() });
    }
    let bytes = sealed::seal(kind, secret, passphrase, hardness, rng).ok_or(CreateError::Seal)?;
    let draft = draft_path(path, rng.next_u64());
    let written = write_new(&draft, &bytes).and_then(|()| publish(&draft, path));
    // The draft goes in every case; the secret in it is sealed, so a failure here only leaves litter.
    let _ = fs::remove_file(&draft);
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => CreateError::Exists { path: path.to_owned() },
        _ => CreateError::Io { path: path.to_owned(), source },
    })
}

/// Reads the secret of a key file that only its owner may read.
pub fn open(path: &Path, passphrase: &Passphrase, kind: Kind) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let at = || path.to_owned();
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    // Asked of the open file, not of the path, which may be exchanged in between.
    let metadata = file.metadata().map_err(failed)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(OpenError::Exposed { path: at(), mode });
    }
    if !metadata.is_file() || metadata.len() > MAX_FILE {
        return Err(OpenError::Malformed { path: at() });
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
    sealed::unseal(kind, &bytes, passphrase).map_err(|failure| match failure {
        sealed::Failure::Malformed => OpenError::Malformed { path: at() },
        sealed::Failure::WrongKind => OpenError::WrongKind { path: at(), expected: kind },
        sealed::Failure::Denied => OpenError::Denied { path: at() },
    })
}

fn draft_path(path: &Path, tag: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{tag:016x}.draft"));
    PathBuf::from(name)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
    // The umask can only take bits away from the mode asked for; say it again so that the owner keeps theirs.
    file.set_permissions(fs::Permissions::from_mode(PRIVATE))?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Gives the finished draft its name. A hard link, unlike a rename, fails when the name is taken.
fn publish(draft: &Path, path: &Path) -> io::Result<()> {
    fs::hard_link(draft, path)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    fn made() -> (tempfile::TempDir, PathBuf, Passphrase) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.key");
        let words = Passphrase::new("words".into()).unwrap();
        let mut rng = StdRng::seed_from_u64(7);
        create_with(Hardness::Testing, &path, &words, Kind::GAS_WALLET, &[5; 32], &mut rng).unwrap();
        (dir, path, words)
    }

    #[test]
    fn a_new_file_is_private_alone_and_opens() {
        let (dir, path, words) = made();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft stays behind");
        assert_eq!(**open(&path, &words, Kind::GAS_WALLET).unwrap(), [5; 32]);
    }

    #[test]
    fn nothing_is_overwritten() {
        let (dir, path, words) = made();
        let before = fs::read(&path).unwrap();
        let mut rng = StdRng::seed_from_u64(8);
        let again = create_with(Hardness::Testing, &path, &words, Kind::IDENTITY, &[6; 32], &mut rng);
        assert!(matches!(again, Err(CreateError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_others_may_read_is_refused_with_the_remedy() {
        let (_dir, path, words) = made();
        for mode in [0o640, 0o604, 0o620, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = open(&path, &words, Kind::GAS_WALLET).unwrap_err();
            assert!(matches!(refused, OpenError::Exposed { .. }));
            assert!(refused.to_string().contains("chmod 600"), "{refused}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(open(&path, &words, Kind::GAS_WALLET).is_ok());
    }

    #[test]
    fn wrong_passphrase_and_every_flipped_byte_are_errors() {
        let (_dir, path, words) = made();
        let other = Passphrase::new("word".into()).unwrap();
        assert!(matches!(open(&path, &other, Kind::GAS_WALLET), Err(OpenError::Denied { .. })));
        let good = fs::read(&path).unwrap();
        for at in (0..good.len()).filter(|at| !good[*at].is_ascii_whitespace()) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert!(open(&path, &words, Kind::GAS_WALLET).is_err(), "byte {at}");
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let words = Passphrase::new("w".into()).unwrap();
        let mut rng = StdRng::seed_from_u64(9);
        for len in [0, MAX_SECRET + 1] {
            let refused =
                create_with(Hardness::Testing, &dir.path().join("k"), &words, Kind::IDENTITY, &vec![1; len], &mut rng);
            assert!(matches!(refused, Err(CreateError::SecretSize { .. })));
        }
        let largest = dir.path().join("large");
        create_with(Hardness::Testing, &largest, &words, Kind::FROST_SHARE, &vec![1; MAX_SECRET], &mut rng).unwrap();
        assert_eq!(open(&largest, &words, Kind::FROST_SHARE).unwrap().len(), MAX_SECRET);
        assert!(matches!(
            open(dir.path(), &words, Kind::IDENTITY),
            Err(OpenError::Exposed { .. } | OpenError::Malformed { .. })
        ));
    }
}
