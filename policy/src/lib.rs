//! The Rego policy bundle and the one crate that evaluates it.
