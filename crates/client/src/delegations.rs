use domain::{Cid, Did, Time};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs,
    io::Read,
    path::{Path, PathBuf},
};
use ucan::{Command, Delegation, Limits, MAX_PROOFS, Token, Verified, container};

/// What delegation files are called.
const EXTENSION: &str = "ucan";
/// Far above what one node is given; bounds what a misconfigured folder can cost.
const MAX_FILES: usize = 1024;
/// A chain of eight tokens of 64 KiB in base64.
const MAX_FILE: u64 = 1024 * 1024;

/// The delegations that a process was given, from which it picks the chain that entitles it to a command.
#[derive(Clone, Debug, Default)]
pub struct Delegations {
    by_audience: BTreeMap<Did, Vec<Verified<Delegation>>>,
    known: BTreeSet<Cid>,
}

/// A delegations folder cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DelegationsError {
    /// The file system refused.
    #[error("cannot read {}", path.display())]
    Io {
        /// What could not be read.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: std::io::Error,
    },
    /// More `*.ucan` files than any node needs.
    #[error("{} holds more than {MAX_FILES} delegation files", path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
    /// A file is not a UCAN container of valid tokens.
    #[error("{} is not a container of UCAN delegations", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ucan::Error,
    },
}

impl Delegations {
    /// Reads every `*.ucan` file of a folder: UCAN containers, whose delegations may be whole chains or links of one.
    pub fn load(folder: &Path) -> Result<Self, DelegationsError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| DelegationsError::Io { path, source }
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed(folder))? {
            let path = entry.map_err(failed(folder))?.path();
            if path.extension().is_some_and(|e| e == EXTENSION) {
                paths.push(path);
            }
            if paths.len() > MAX_FILES {
                return Err(DelegationsError::TooMany { path: folder.to_owned() });
            }
        }
        // The folder's own order differs between machines; the chosen chain must not.
        paths.sort();
        let mut all = Self::default();
        for path in paths {
            let mut bytes = Vec::new();
            let file = fs::File::open(&path).map_err(failed(&path))?;
            file.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed(&path))?;
            all.add_container(bytes.trim_ascii()).map_err(|source| DelegationsError::Malformed { path, source })?;
        }
        Ok(all)
    }

    /// Adds every delegation of a container; invocations in it are passed over.
    pub fn add_container(&mut self, bytes: &[u8]) -> Result<(), ucan::Error> {
        let limit = usize::try_from(MAX_FILE).unwrap_or(usize::MAX);
        let limits = Limits { max_container_bytes: limit, max_inflated_bytes: limit, ..Limits::default() };
        for token in container::decode(bytes, &limits)? {
            if let Token::Delegation(delegation) = ucan::open(&token)? {
                self.add(delegation);
            }
        }
        Ok(())
    }

    /// Adds one delegation.
    pub fn add(&mut self, delegation: Verified<Delegation>) {
        if self.known.insert(delegation.cid()) {
            self.by_audience.entry(delegation.audience()).or_default().push(delegation);
        }
    }

    /// The delegation of this CID.
    pub fn get(&self, cid: &Cid) -> Option<&Verified<Delegation>> {
        self.by_audience.values().flatten().find(|d| d.cid() == *cid)
    }

    /// The shortest chain, root first, by which `subject` entitles `audience` to `command` at `now`. Empty when
    /// audience and subject are the same key, which needs no delegation; `None` when there is no chain. Policies are
    /// not looked at: they depend on the arguments.
    pub fn chain(
        &self,
        audience: Did,
        command: &Command,
        subject: Did,
        now: Time,
    ) -> Option<Vec<Verified<Delegation>>> {
        if audience == subject {
            return Some(Vec::new());
        }
        let mut queue = VecDeque::from([(audience, Vec::new())]);
        let mut visited = BTreeSet::from([audience]);
        while let Some((holder, path)) = queue.pop_front() {
            for link in self.by_audience.get(&holder).into_iter().flatten() {
                if !is_usable(link, command, subject, now) {
                    continue;
                }
                let mut longer: Vec<Verified<Delegation>> = path.clone();
                longer.push(link.clone());
                if link.issuer() == subject {
                    longer.reverse();
                    return Some(longer);
                }
                if longer.len() < MAX_PROOFS && visited.insert(link.issuer()) {
                    queue.push_back((link.issuer(), longer));
                }
            }
        }
        None
    }
}

fn is_usable(link: &Delegation, command: &Command, subject: Did, now: Time) -> bool {
    link.subject() == Some(subject)
        && link.command().covers(command)
        && link.expiration().is_none_or(|end| now < end)
        && link.not_before().is_none_or(|start| start <= now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::SigningKey;
    use ucan::issue::{NewDelegation, delegate, did_of};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn link(from: u8, to: u8, subject: u8, command: &str, until: Option<u64>) -> Verified<Delegation> {
        let command = command.parse().unwrap();
        let mut new = NewDelegation::new(did_of(&key(to)), did_of(&key(subject)), command, [from; 12]);
        new.expiration = until.map(Time::from_unix);
        delegate(&key(from), new).unwrap()
    }

    fn find(all: &Delegations, audience: u8, command: &str, subject: u8) -> Option<Vec<Cid>> {
        let now = Time::from_unix(1_000);
        let chain = all.chain(did_of(&key(audience)), &command.parse().unwrap(), did_of(&key(subject)), now);
        chain.map(|links| links.iter().map(|l| l.cid()).collect())
    }

    #[test]
    fn a_chain_is_found_root_first_and_by_segment() {
        let (root, leaf) = (link(1, 2, 1, "/execution", None), link(2, 3, 1, "/execution", Some(2_000)));
        let mut all = Delegations::default();
        all.add(leaf.clone());
        all.add(root.clone());
        assert_eq!(find(&all, 3, "/execution/submitted", 1), Some(vec![root.cid(), leaf.cid()]));
        assert_eq!(find(&all, 2, "/execution", 1), Some(vec![root.cid()]));
        assert_eq!(find(&all, 3, "/executions", 1), None);
        assert_eq!(find(&all, 3, "/execution", 9), None);
        assert_eq!(find(&all, 1, "/anything", 1), Some(vec![]));
        assert_eq!(all.get(&leaf.cid()).map(|d| d.cid()), Some(leaf.cid()));
        assert!(all.get(&Cid::of(b"another")).is_none());
    }

    #[test]
    fn expired_links_and_circles_lead_nowhere() {
        let mut all = Delegations::default();
        all.add(link(1, 2, 1, "/read", Some(1_000)));
        all.add(link(2, 3, 1, "/read", None));
        all.add(link(3, 2, 1, "/read", None));
        assert_eq!(find(&all, 3, "/read", 1), None);
        let live = link(1, 2, 1, "/read", Some(1_001));
        all.add(live.clone());
        assert_eq!(find(&all, 3, "/read", 1).map(|c| c[0]), Some(live.cid()));
    }

    #[test]
    fn a_folder_of_containers_is_read_and_a_broken_file_named() {
        let dir = tempfile::tempdir().unwrap();
        let (root, leaf) = (link(1, 2, 1, "/read", None), link(2, 3, 1, "/read", None));
        let tokens = [root.bytes(), leaf.bytes()];
        let text = container::encode(container::Encoding::Base64, &tokens).unwrap();
        fs::write(dir.path().join("a.ucan"), [text.as_slice(), b"\n"].concat()).unwrap();
        fs::write(dir.path().join("notes.txt"), "no token").unwrap();
        let all = Delegations::load(dir.path()).unwrap();
        assert_eq!(find(&all, 3, "/read/log", 1), Some(vec![root.cid(), leaf.cid()]));
        fs::write(dir.path().join("b.ucan"), "Bnonsense").unwrap();
        let broken = Delegations::load(dir.path()).unwrap_err();
        assert!(matches!(&broken, DelegationsError::Malformed { path, .. } if path.ends_with("b.ucan")));
    }
}
