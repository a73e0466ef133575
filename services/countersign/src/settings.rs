//! Configuration of the roles and of the client: a TOML file, overridden by `COUNTERSIGN_<FIELD>` variables. Every
//! mistake is named, not only the first.

mod client;
mod control_plane;
mod fields;
mod help;
mod keys;
mod relayer;
mod service_links;
mod signer;

pub use self::{
    client::{ClientSettings, client_help},
    control_plane::{control_plane, control_plane_help},
    relayer::{relayer, relayer_help},
    signer::{signer, signer_help},
};
pub use fields::{Fields, Mistakes};
