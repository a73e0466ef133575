//! The sequencer and its HTTP API.
//!
//! Requests verify tokens in parallel and queue statements; one thread decides them in order, another commits them
//! together and answers after the commit; readers look at the snapshot that the last commit left. A third signs
//! checkpoints every second. At start everything that the database says is derived again and compared.
//!
//! [`Server::start`] gives a running server, [`run`] runs one until a shutdown future resolves.

mod anchor;
mod checkpoint;
mod clock;
mod config;
mod debt;
mod feed;
mod gate;
mod health;
mod http;
mod json;
mod metrics;
mod opener;
mod outcome;
mod plane;
mod read_model;
mod register;
mod sequencer;
mod server;
mod snapshot;
mod start;

pub use anchor::AnchorError;
pub use config::{Config, DEFAULT_HOLDER, DEFAULT_LISTEN, Limits, Parts, default_holder};
pub use http::{Access, ROUTES, Route, Verb, openapi};
pub use server::{Error, Server, run};
pub use serving::ConfigError;
pub use start::VerifyError;
