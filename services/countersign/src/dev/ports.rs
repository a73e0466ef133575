//! Ports that are kept free for processes that start later.

use crate::failure::Usage;
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
fn at(port: u16) -> anyhow::Result<NodeUrl> {
    Ok(format!("http://127.0.0.1:{port}").parse()?)
}

/// URLs with `count` ports from the first one on.
pub fn from(first: u16, count: usize) -> Result<Vec<NodeUrl>, Usage> {
    let ports: Vec<u16> = (first..=u16::MAX).take(count).collect();
    if first == 0 {
        return Err(Usage("ports begin at 1; without --port, free ones are taken".to_owned()));
    }
    if ports.len() < count {
        let last = usize::from(u16::MAX).saturating_add(1).saturating_sub(count);
        return Err(Usage(format!("this system has {count} ports, so the first is {last} at most")));
    }
    ports.into_iter().map(|port| at(port).map_err(|error| Usage(error.to_string()))).collect()
}

/// Whether nobody listens at a URL of this machine.
pub fn is_free(url: &NodeUrl) -> bool {
    TcpListener::bind(url.as_str().trim_end_matches('/').trim_start_matches("http://")).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(url: &NodeUrl) -> std::io::Result<TcpListener> {
        TcpListener::bind(url.as_str().trim_start_matches("http://"))
    }

    #[test]
    fn ports_end_where_numbers_do() {
        let urls = from(65_530, 6).unwrap();
        assert_eq!((urls.len(), urls[5].as_str().trim_end_matches('/')), (6, "http://127.0.0.1:65535"));
        for (first, count, why) in [(65_531, 6, "65530 at most"), (65_535, 2, "65534 at most"), (0, 6, "begin at 1")] {
            let error = from(first, count).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_port_is_nobody_elses_until_it_is_released() {
        let mut ports = Ports::default();
        let urls = ports.hold(3).unwrap();
        assert!(urls.iter().all(|url| bind(url).is_err() && !is_free(url)));
        ports.release(&urls[1]);
        assert!(bind(&urls[0]).is_err() && bind(&urls[2]).is_err());
        // Whoever was given it meanwhile is not this test's concern.
        assert_eq!(ports.0.len(), 2);
    }
}
