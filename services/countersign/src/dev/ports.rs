//! Ports that are kept free for processes that start later.

use anyhow::Context as _;
use domain::NodeUrl;
use std::{collections::BTreeMap, net::TcpListener};

/// Ports on loopback, held until their processes start: keys and contracts are made meanwhile, and somebody else could
/// be given them.
#[derive(Debug, Default)]
pub struct Ports(BTreeMap<NodeUrl, TcpListener>);

impl Ports {
    /// URLs with `count` free ports, which are held from now on.
    pub fn hold(&mut self, count: usize) -> anyhow::Result<Vec<NodeUrl>> {
        let one = || {
            let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port is free")?;
            let url = at(listener.local_addr()?.port())?;
            anyhow::Ok((url, listener))
        };
        let held: Vec<_> = (0..count).map(|_| one()).collect::<Result<_, _>>()?;
        let urls = held.iter().map(|(url, _)| url.clone()).collect();
        self.0.extend(held);
        Ok(urls)
    }

    /// Leaves a port to its process, which starts now.
    pub fn release(&mut self, url: &NodeUrl) {
        self.0.remove(url);
    }
}

/// The URL of a port on loopback.
pub fn at(port: u16) -> anyhow::Result<NodeUrl> {
    Ok(format!("http://127.0.0.1:{port}").parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(url: &NodeUrl) -> std::io::Result<TcpListener> {
        TcpListener::bind(url.as_str().trim_start_matches("http://"))
    }

    #[test]
    fn a_port_is_nobody_elses_until_it_is_released() {
        let mut ports = Ports::default();
        let urls = ports.hold(3).unwrap();
        assert!(urls.iter().all(|url| bind(url).is_err()));
        ports.release(&urls[1]);
        assert!(bind(&urls[0]).is_err() && bind(&urls[2]).is_err());
        // Whoever was given it meanwhile is not this test's concern.
        assert_eq!(ports.0.len(), 2);
    }
}
