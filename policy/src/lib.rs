//! The Rego policy bundle and the one crate that evaluates it.
//!
//! [`Engine::load`] compiles a [`Bundle`] after checking that it can only decide deterministically and within bounds, and
//! that it makes sense; [`Engine::reload`] asks no more than the former, of bundles that a log holds. [`Engine::decide`]
//! answers an [`Input`] with a [`Decision`] and never fails: what cannot be decided is denied. Neither it nor `reload` know
//! a clock, randomness or I/O, so every machine that loads the same bundle decides the same input in the same bytes.
//!
//! ```
//! let engine = policy::Engine::load(&policy::Bundle::default_payout()).expect("the default bundle loads");
//! assert_eq!(engine.bundle(), &policy::Bundle::default_payout().id());
//! ```

mod bundle;
mod decision;
mod engine;
pub mod explain;
mod finding;
mod input;
mod lint;
pub mod probe;
pub mod testing;
mod value;

pub use bundle::{Bundle, MAX_BUNDLE_BYTES, MAX_MODULES};
pub use decision::{
    Code, Decision, ENGINE, Effect, MAX_APPROVALS, MAX_MESSAGE_CHARS, MAX_VIOLATIONS, UnknownName, Violation,
};
pub use engine::{Engine, MAX_INSTRUCTIONS};
pub use finding::{Finding, LoadError};
pub use input::{
    Action, Asset, Budget, Input, Installation, InstallationState, Limits, LineItem, Order, OrderState, Plugin,
    PluginState, Proposal, Recipient, Royalty, Split, Tenant, Token,
};
