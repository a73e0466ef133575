use crate::{commands, output::Output, process::RoleArgs, settings};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Plugins propose. Policy decides. A quorum countersigns.
#[derive(Debug, Parser)]
#[command(
    name = "countersign",
    version,
    after_help = help()
)]
pub struct Cli {
    /// Write results as JSON, one object per line
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

fn help() -> String {
    format!(
        "Exit codes: 0 done, 1 refused, denied or invalid, 2 used wrongly, 3 not available now.\n\n{}\n\
         Examples:\n  \
         countersign demo                          the whole story on this machine, checked step by step\n  \
         countersign dev                           the whole system on loopback, in .countersign/dev\n  \
         countersign --json status --as operator CID",
        settings::client_help()
    )
}

macro_rules! commands {
    ($($(#[$attribute:meta])* $name:ident($args:ty) => $module:ident,)*) => {
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $($(#[$attribute])* $name($args),)*
        }

        impl Command {
            /// Runs the command to its end.
            pub async fn run(self, out: &Output) -> anyhow::Result<ExitCode> {
                match self {
                    $(Self::$name(args) => Box::pin(commands::$module::run(args, out)).await,)*
                }
            }
        }
    };
}

commands! {
    /// The whole system on loopback in one folder, provisioned on first start
    Dev(commands::dev::Command) => dev,
    /// Tell the whole story in a fresh folder and check every step of it
    Demo(commands::demo::Command) => demo,
    /// Run the control plane: the log's sequencer and HTTP API
    #[command(after_help = settings::control_plane_help())]
    ControlPlane(RoleArgs) => control_plane,
    /// Run a signer: follows the log, decides again, signs what it decided
    #[command(after_help = settings::signer_help())]
    Signer(RoleArgs) => signer,
    /// Run a relayer: carries signatures to the chain
    #[command(after_help = settings::relayer_help())]
    Relayer(RoleArgs) => relayer,
    /// Make an encrypted key file, or show what one holds
    Keygen(commands::keygen::Command) => keygen,
    /// Pass a command on to somebody, as a *.ucan file
    Delegate(commands::delegate::Command) => delegate,
    /// Generate the quorum's keys, or see how its signers are
    #[command(subcommand)]
    Quorum(commands::quorum::Command) => quorum,
    /// Propose a payout
    Propose(commands::propose::Command) => propose,
    /// Ask what policy would say, without proposing
    Simulate(commands::simulate::Command) => simulate,
    /// Approve a proposal that is in review
    Approve(commands::approve::Command) => approve,
    /// Refuse a proposal that is in review
    Refuse(commands::refuse::Command) => refuse,
    /// Withdraw a proposal
    Cancel(commands::cancel::Command) => cancel,
    /// Send a signed statement from a file once more: the same bytes, the same answer
    Resend(commands::resend::Command) => resend,
    /// Show where a proposal stands
    Status(commands::status::Command) => status,
    /// Install a plugin: what it may do, and how much
    Grant(commands::grant::Command) => grant,
    /// Say that a recipient may be paid
    VerifyRecipient(commands::verify_recipient::Command) => verify_recipient,
    /// Make an order known whose funds are in escrow
    OpenOrder(commands::open_order::Command) => open_order,
    /// Revoke a delegation, a key or a grant
    Revoke(commands::revoke::Command) => revoke,
    /// Stop signing, through the log and at every signer directly
    Freeze(commands::freeze::Command) => freeze,
    /// Ask to lift a freeze; it ends when enough admins have
    Thaw(commands::thaw::Command) => thaw,
    /// Thaw the escrow contract or change its caps, by several admins and the quorum
    #[command(subcommand)]
    Escrow(commands::escrow::Command) => escrow,
    /// Export the log, and verify an exported one offline
    Log(commands::log::Command) => log,
    /// Fetch and verify receipts of payouts
    Receipt(commands::receipt::Command) => receipt,
    /// Inspect and verify UCAN tokens
    Ucan(commands::ucan::Command) => ucan,
    /// Test and check policy bundles, and explain a decision
    Policy(commands::policy::Command) => policy,
    /// Measure this machine
    Bench(commands::bench::Command) => bench,
    /// Run a program that stops with standard input
    #[command(hide = true)]
    Leash(commands::leash::Command) => leash,
}
