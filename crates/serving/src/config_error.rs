/// A setting of a service is not usable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting}: {reason}")]
pub struct ConfigError {
    /// Which.
    pub setting: &'static str,
    /// Why, and what to do.
    pub reason: String,
}

/// Every setting of a service that is not usable; at least one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// An error when there is anything wrong.
    pub fn refuse(wrong: Vec<ConfigError>) -> Result<(), Self> {
        if wrong.is_empty() { Ok(()) } else { Err(Self(wrong)) }
    }
}
