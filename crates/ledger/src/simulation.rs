use crate::{Act, Outcome, ParseError, Refusal, State, Statement, facts::PAYOUT_COMMAND};
use domain::Time;
use policy::Decision;
use ucan::{Delegation, Invocation, Verified};

/// A signed question: what would be decided if this payout were proposed now, by this right. Whoever sees it can ask the
/// same and no more, because [`Simulation::COMMAND`] is no statement's, so that no log takes it.
#[derive(Clone, Debug)]
pub struct Simulation(Statement);

impl Simulation {
    /// Below the command of a payout, so that whoever may propose one may ask.
    pub const COMMAND: &'static str = "/proposal/payout/simulate";

    /// Whether something of this command can be decided without being proposed: a question, or a proposal itself.
    pub fn is_of(command: &str) -> bool {
        command == Self::COMMAND || command == PAYOUT_COMMAND
    }

    /// Reads what `invocation` asks; its args are those of a payout. `proofs` are the delegations that it names.
    pub fn parse(invocation: Verified<Invocation>, proofs: Vec<Verified<Delegation>>) -> Result<Self, ParseError> {
        let command = invocation.command().as_str();
        if !Self::is_of(command) {
            return Err(ParseError::UnknownCommand(command.to_owned()));
        }
        let act = Act::parse(PAYOUT_COMMAND, invocation.args())?;
        Statement::of(act, invocation, proofs).map(Self)
    }
}

impl State {
    /// What a step would decide at this moment, or at this state's when that is later. Nothing changes.
    pub fn simulate(&self, simulation: &Simulation, at: Time) -> Result<Option<Decision>, Refusal> {
        // No decision depends on the place in the log.
        let step = self.step(&simulation.0, 0, at.max(self.at()))?;
        Ok(match step.outcome {
            Outcome::Decided { decision, .. } => Some(decision),
            Outcome::Accepted => None,
        })
    }
}
