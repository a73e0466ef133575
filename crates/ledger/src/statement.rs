use crate::{
    Authority, Changes, Outcome, Refusal, State,
    statements::{
        approval, escrow, execution, freeze, installation, log, order, plugin, policy, proposal, publisher, quorum,
        recipient, signer, tenant, ucan as revocation,
    },
};
use ::policy::Engine;
use domain::{Cid, Did, Payout, Time};
use ipld_core::ipld::Ipld;
use serde::de::DeserializeOwned;
use std::{fmt, sync::Arc};
use ucan::{Delegation, Invocation, Verified};

/// An invocation whose signature and args are good, with the delegations that it names. Whether they entitle the
/// issuer depends on the state and is decided by [`State::step`].
#[derive(Clone, Debug)]
pub struct Statement {
    invocation: Verified<Invocation>,
    proofs: Vec<Verified<Delegation>>,
    act: Act,
    /// What [`Statement::prepare`] made of a policy.
    engine: Option<Arc<Engine>>,
    /// The delegations that the args of a revocation carry: opened once, before the statement waits to be decided.
    path: Vec<Verified<Delegation>>,
}

/// An invocation is not a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No statement has this command.
    #[error("unknown command {0}")]
    UnknownCommand(String),
    /// An arg is missing, unknown, ill-typed or out of range.
    #[error("args.{field}: {detail}")]
    Args {
        /// Path of the field inside `args`, such as `splits[1].bps`.
        field: String,
        /// What is wrong.
        detail: String,
    },
}

/// In whose realm a command acts: who its subject must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Realm {
    Operator,
    Tenant,
    /// Either; the rule looks for itself.
    Any,
}

/// Where and by whom a statement is made.
pub(crate) struct Context<'a> {
    pub cid: Cid,
    pub seq: u64,
    pub at: Time,
    pub expires_at: Time,
    pub subject: Did,
    pub authority: &'a Authority,
    /// The policy that the statement activates, if it was loaded ahead.
    pub engine: Option<&'a Arc<Engine>>,
    pub path: &'a [Verified<Delegation>],
}

/// One kind of statement: what its args are called and what it does to the state.
pub(crate) trait Rule: DeserializeOwned {
    const REALM: Realm;

    /// Checks what the type of the args cannot say: sums, counts, distinctness.
    fn check(&self) -> Result<(), ParseError> {
        Ok(())
    }

    /// Takes effect on `state`, which is discarded on refusal.
    fn run(&self, state: &mut State, cx: &Context<'_>, changes: &mut Changes) -> Result<Outcome, Refusal>;
}

macro_rules! acts {
    ($($(#[$doc:meta])* $variant:ident($args:ty) = $command:literal,)*) => {
        /// What a statement says: one variant per command, with its args.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Act {
            $($(#[$doc])* $variant($args),)*
        }

        impl Act {
            /// Every command that is a statement.
            pub const COMMANDS: &'static [&'static str] = &[$($command,)*];

            /// The command that says this.
            pub const fn command(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $command,)*
                }
            }

            /// Parses the args of `command`: strictly, so that an unknown field is an error.
            pub fn parse(command: &str, args: &Ipld) -> Result<Self, ParseError> {
                match command {
                    $($command => {
                        let args: $args = typed(args)?;
                        Rule::check(&args)?;
                        Ok(Self::$variant(args))
                    })*
                    _ => Err(ParseError::UnknownCommand(command.to_owned())),
                }
            }

            pub(crate) const fn realm(&self) -> Realm {
                match self {
                    $(Self::$variant(_) => <$args as Rule>::REALM,)*
                }
            }

            pub(crate) fn run(
                &self, state: &mut State, cx: &Context<'_>, changes: &mut Changes,
            ) -> Result<Outcome, Refusal> {
                match self {
                    $(Self::$variant(args) => args.run(state, cx, changes),)*
                }
            }
        }
    };
}

acts! {
    /// The first entry: names the log's keys.
    Genesis(log::Genesis) = "/log/genesis",
    /// Makes a tenant.
    TenantCreate(tenant::Create) = "/tenant/create",
    /// Makes an epoch of the quorum active.
    QuorumSet(quorum::SetQuorum) = "/quorum/set",
    /// Asks for a change of an escrow contract.
    EscrowAdminister(escrow::Administer) = "/escrow/administer",
    /// Makes a publisher known.
    PublisherRegister(publisher::Register) = "/publisher/register",
    /// Publishes a plugin version.
    PluginPublish(plugin::Publish) = "/plugin/publish",
    /// Installs a plugin, or changes what it may do.
    InstallationGrant(installation::Grant) = "/installation/grant",
    /// Stops an installation until it is resumed.
    InstallationSuspend(installation::Suspend) = "/installation/suspend",
    /// Lifts a suspension.
    InstallationResume(installation::Resume) = "/installation/resume",
    /// Ends a grant for good.
    InstallationRemove(installation::Remove) = "/installation/remove",
    /// A provider's word about a recipient.
    RecipientVerify(recipient::Verify) = "/recipient/verify",
    /// An order with funds in escrow.
    OrderOpen(order::Open) = "/order/open",
    /// No more payouts for an order.
    OrderClose(order::Close) = "/order/close",
    /// Asks to pay out.
    ProposalPayout(Payout) = "/proposal/payout",
    /// Withdraws a proposal.
    ProposalCancel(proposal::Cancel) = "/proposal/cancel",
    /// A person agrees.
    ApprovalGive(approval::Give) = "/approval/give",
    /// A person takes an approval back.
    ApprovalWithdraw(approval::Withdraw) = "/approval/withdraw",
    /// A person says no.
    ApprovalRefuse(approval::Refuse) = "/approval/refuse",
    /// Revokes a delegation, a key or a grant.
    Revoke(revocation::Revoke) = "/ucan/revoke",
    /// Stops signing in a scope.
    FreezeSet(freeze::Set) = "/freeze/set",
    /// Asks to lift a freeze.
    FreezeLift(freeze::Lift) = "/freeze/lift",
    /// Makes a bundle decide.
    PolicyActivate(policy::Activate) = "/policy/activate",
    /// A relayer's report: the node has the transaction.
    ExecutionSubmitted(execution::Submitted) = "/execution/submitted",
    /// A relayer's report: a block has it.
    ExecutionIncluded(execution::Included) = "/execution/included",
    /// A relayer's report: it failed in a block.
    ExecutionReverted(execution::Reverted) = "/execution/reverted",
    /// A signer's word about the chain.
    ExecutionAttest(execution::Attest) = "/execution/attest",
    /// Proof of a signer's misbehaviour.
    SignerEvidence(signer::Evidence) = "/signer/evidence",
}

fn typed<T: DeserializeOwned>(args: &Ipld) -> Result<T, ParseError> {
    serde_path_to_error::deserialize(args.clone())
        .map_err(|e| ParseError::Args { field: field_of(&e), detail: detail_of(e.inner()) })
}

/// IPLD puts these words before those of a type's own deserializer.
const SERDE: &str = "serde error: ";
/// Longer than what any deserializer says that repeats nothing of its input.
const MAX_DETAIL_CHARS: usize = 200;
/// IPLD's kinds as people know them.
const KINDS: [(&str, &str); 8] = [
    ("Integer", "a whole number"),
    ("String", "a text"),
    ("Bytes", "bytes"),
    ("List", "a list"),
    ("Map", "an object"),
    ("Bool", "true or false"),
    ("Link", "a CID"),
    ("Null", "null"),
];

/// What a deserializer says is wrong, in words of the API: nothing of the input but what is short, and no types of Rust.
pub fn detail_of(error: &dyn fmt::Display) -> String {
    let told = error.to_string();
    let told = told.strip_prefix(SERDE).unwrap_or(&told);
    if told.starts_with("`Ipld::Integer` value was") {
        return "a whole number within the field's range is expected".to_owned();
    }
    if let Some(kind) = told.strip_prefix("Only `Ipld::").and_then(|rest| rest.split('`').next()) {
        let expected = KINDS.iter().find_map(|(name, expected)| (*name == kind).then_some(*expected));
        return format!("{} is expected", expected.unwrap_or("another type"));
    }
    match told.char_indices().nth(MAX_DETAIL_CHARS) {
        Some((end, _)) => told.get(..end).unwrap_or_default().to_owned() + "…",
        None => told.to_owned(),
    }
}

/// Where in its input a deserializer found what it refuses, such as `splits[1].bps`; empty for the whole of it. A field
/// that is missing, or there twice, is at fault itself.
pub fn field_of<E: fmt::Display>(error: &serde_path_to_error::Error<E>) -> String {
    let (path, detail) = (error.path().to_string(), error.inner().to_string());
    // Derived deserializers know the name and tell it in nothing but these words; IPLD puts its own before them.
    let told = detail.strip_prefix(SERDE).unwrap_or(&detail);
    let named = ["missing field `", "duplicate field `"].iter().find_map(|words| told.strip_prefix(words));
    match (path.as_str(), named.and_then(|rest| rest.split('`').next())) {
        (".", name) => name.unwrap_or_default().to_owned(),
        (path, Some(name)) => format!("{path}.{name}"),
        (path, None) => path.to_owned(),
    }
}

impl ParseError {
    pub(crate) fn args(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Args { field: field.into(), detail: detail.into() }
    }
}

impl Statement {
    /// Reads what `invocation` says. `proofs` are the delegations that it names, as far as they are known; the step
    /// refuses the statement when one is missing.
    pub fn parse(invocation: Verified<Invocation>, proofs: Vec<Verified<Delegation>>) -> Result<Self, ParseError> {
        let act = Act::parse(invocation.command().as_str(), invocation.args())?;
        Self::of(act, invocation, proofs)
    }

    /// `act` as its issuer says it by `invocation`.
    pub(crate) fn of(
        act: Act,
        invocation: Verified<Invocation>,
        proofs: Vec<Verified<Delegation>>,
    ) -> Result<Self, ParseError> {
        let path = if let Act::Revoke(args) = &act { args.open_path()? } else { Vec::new() };
        Ok(Self { invocation, proofs, act, engine: None, path })
    }

    /// Whether [`Statement::prepare`] has something to do.
    pub const fn needs_preparation(&self) -> bool {
        matches!(self.act, Act::PolicyActivate(_))
    }

    /// Does ahead what takes long, for whoever lets statements into a log: loads the policy that it activates. This asks
    /// more of the bundle than [`State::step`] does, which judges the bundles of every log by the same rules in every
    /// build. As there, whoever has no authority in `state` gets no work done.
    ///
    /// # Errors
    /// The issuer is not entitled, or the bundle cannot be loaded; the detail has a line for each finding, with file, line
    /// and column.
    pub fn prepare(mut self, state: &State, at: Time) -> Result<Self, Refusal> {
        if let Act::PolicyActivate(activate) = &self.act {
            state.authorise(&self, at)?;
            self.engine = Some(Arc::new(activate.load()?));
        }
        Ok(self)
    }

    /// The delegations that its args carry, whose signatures were checked when it was read.
    pub fn path(&self) -> &[Verified<Delegation>] {
        &self.path
    }

    /// The invocation's CID: the statement's identity, a proposal's id.
    pub fn cid(&self) -> Cid {
        self.invocation.cid()
    }

    /// The signed invocation.
    pub const fn invocation(&self) -> &Verified<Invocation> {
        &self.invocation
    }

    /// The delegations that came with it.
    pub fn proofs(&self) -> &[Verified<Delegation>] {
        &self.proofs
    }

    /// What it says.
    pub const fn act(&self) -> &Act {
        &self.act
    }

    pub(crate) const fn engine(&self) -> Option<&Arc<Engine>> {
        self.engine.as_ref()
    }
}
