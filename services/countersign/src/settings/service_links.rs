use std::{
    net::{IpAddr, SocketAddr},
    num::NonZeroU16,
};

/// Whether a variable is one of those by which Kubernetes tells each container of the services around it: the ones of a
/// service that is called `countersign-…` have this program's prefix. `name` is lower-case and without the prefix. Name
/// and value have to be of the same form, so that a misspelt setting is not taken for one of these.
pub fn is_service_link(name: &str, value: &str) -> bool {
    let parts: Vec<&str> = name.split('_').collect();
    // A service and a port may themselves be named by words that are looked for here.
    let is_port = match *parts.as_slice() {
        [.., "service", "port"] => true,
        [.., "port", number, "tcp" | "udp" | "sctp", "port"] => value == number,
        _ => parts.windows(3).any(|w| matches!(w, ["service", "port", name] if !name.is_empty())),
    };
    let is_other = match *parts.as_slice() {
        [.., "service", "host"] | [.., "port", _, "tcp" | "udp" | "sctp", "addr"] => value.parse::<IpAddr>().is_ok(),
        [.., "port", _, protocol @ ("tcp" | "udp" | "sctp"), "proto"] => value == protocol,
        [.., "port", number, protocol @ ("tcp" | "udp" | "sctp")] => {
            address(value).is_some_and(|(named, at)| named == protocol && port(number) == Some(at))
        }
        [.., "port"] => address(value).is_some(),
        _ => false,
    };
    is_other || (is_port && port(value).is_some())
}

fn port(text: &str) -> Option<NonZeroU16> {
    text.parse().ok()
}

/// The protocol and the port of an address such as `tcp://10.0.0.1:80`.
fn address(text: &str) -> Option<(&str, NonZeroU16)> {
    let (protocol, address) = text.split_once("://").filter(|(p, _)| matches!(*p, "tcp" | "udp" | "sctp"))?;
    let address: SocketAddr = address.parse().ok()?;
    Some((protocol, NonZeroU16::new(address.port())?))
}
