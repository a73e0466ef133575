use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    num::NonZeroU16,
    str::FromStr,
};

/// A text is not of the form that its field takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct ParseNameError {
    expected: &'static str,
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseNameError;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                let ok: fn(&str) -> bool = $ok;
                if ok(s) { Ok(Self(s.to_owned())) } else { Err(ParseNameError { expected: $expected }) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseNameError;

            fn try_from(s: String) -> Result<Self, Self::Error> {
                s.parse()
            }
        }

        impl From<$name> for String {
            fn from(v: $name) -> Self {
                v.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

fn printable(s: &str, max_chars: usize) -> bool {
    !s.is_empty() && s.chars().count() <= max_chars && s.trim() == s && !s.chars().any(char::is_control)
}

text_type!(
    /// A display name: 1 to 100 printable characters.
    Name, "1 to 100 printable characters without surrounding space", |s| printable(s, 100)
);
text_type!(
    /// Why somebody did something, for people: 1 to 500 printable characters.
    Reason, "1 to 500 printable characters without surrounding space", |s| printable(s, 500)
);
text_type!(
    /// A marketplace's own id of an order: 1 to 64 of `A-Z a-z 0-9 . _ -`.
    OrderId, "1 to 64 of A-Z a-z 0-9 . _ -",
    |s| (1..=64).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
);
text_type!(
    /// A plugin's id in reverse-domain form, such as `com.example.payouts`: 3 to 100 of `a-z 0-9 - .`.
    PluginId, "a reverse-domain id such as com.example.payouts",
    |s| s.len() <= 100 && s.split('.').count() >= 2
        && s.split('.').all(|p| !p.is_empty() && !p.starts_with('-') && !p.ends_with('-')
            && p.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
);
text_type!(
    /// A plugin version: `major.minor.patch`, each a decimal number without leading zeros.
    Version, "a version such as 1.4.0",
    |s| s.len() <= 32 && s.split('.').count() == 3
        && s.split('.').all(|p| p.parse::<u32>().is_ok_and(|n| n.to_string() == p))
);
text_type!(
    /// The base URL of a node: `http://` or `https://`, a host and perhaps a port, no path, query or credentials.
    NodeUrl, "a base URL such as http://127.0.0.1:7701",
    |s| s.strip_prefix("http://").or_else(|| s.strip_prefix("https://")).is_some_and(|rest| {
        // The colons of an IPv6 address are within its brackets.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        rest.len() <= 253 && is_host(host) && port.is_none_or(|port| {
            port.parse::<NonZeroU16>().is_ok_and(|n| n.to_string() == port)
        })
    })
);

/// A name by RFC 1123, an IPv4 address, or an IPv6 address in brackets.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    // What ends in a number is an address, to whoever resolves it, too.
    let is_number = host.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    host.split('.').all(is_label) && (!is_number || host.parse::<Ipv4Addr>().is_ok())
}
