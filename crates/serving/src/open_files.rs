use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that a service needs beside its connections: its database and log, and connections of its own to others.
const OTHERS: u64 = 256;

/// How many connections can be open, at most `wanted`: each is an open file, and a process that may open no more can reach
/// neither its database nor anybody else. Asks the system for as many files as are needed.
pub fn affordable(wanted: usize) -> usize {
    let needed = u64::try_from(wanted).unwrap_or(u64::MAX).saturating_add(OTHERS);
    let Rlimit { current: Some(mut current), maximum } = getrlimit(Resource::Nofile) else { return wanted };
    if current < needed {
        let more = maximum.map_or(needed, |most| most.min(needed));
        if setrlimit(Resource::Nofile, Rlimit { current: Some(more), maximum }).is_ok() {
            current = more;
        }
    }
    if current >= needed {
        return wanted;
    }
    // At least half of what there is, where that is very little.
    let connections = current.saturating_sub(OTHERS).max(current.div_euclid(2));
    let connections = usize::try_from(connections).unwrap_or(usize::MAX).min(wanted);
    tracing::warn!(files = current, connections, wanted, "fewer connections: this process may not open more files");
    connections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_connections_than_files() {
        assert_eq!(affordable(1), 1);
        let limit = getrlimit(Resource::Nofile).maximum;
        let afforded = affordable(usize::MAX);
        assert!(limit.is_none_or(|most| u64::try_from(afforded).unwrap() < most), "{afforded} of {limit:?}");
    }
}
