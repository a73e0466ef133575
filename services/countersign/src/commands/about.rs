use crate::connection::ConnectionArgs;
use domain::{Cid, Reason};

/// Which proposal it is about, and why.
#[derive(Debug, clap::Args)]
pub struct About {
    /// The proposal
    pub proposal: Cid,
    /// Why, for people
    #[arg(long)]
    pub reason: Reason,
    #[command(flatten)]
    pub connection: ConnectionArgs,
}
