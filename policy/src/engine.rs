use crate::{Bundle, Code, Decision, ENGINE, Effect, Input, LoadError, Violation};
use domain::Digest;

/// A bundle compiled and checked, ready to decide. Shared between threads behind an `Arc`.
#[derive(Debug)]
pub struct Engine {
    bundle: Digest,
}

impl Engine {
    /// Checks and compiles a bundle. Everything that is wrong with it is in the error, with file, line and column.
    pub fn load(bundle: &Bundle) -> Result<Self, LoadError> {
        Ok(Self { bundle: bundle.id() })
    }

    /// Decides. Whatever goes wrong is a denial with [`Code::PolicyError`].
    pub fn decide(&self, input: &Input) -> Decision {
        Decision {
            effect: Effect::Deny,
            violations: vec![Violation::new(Code::PolicyError, "not evaluated")],
            approvals: 0,
            bundle: self.bundle,
            input: input.digest(),
            engine: ENGINE,
        }
    }

    /// The content address of the bundle that decides.
    pub const fn bundle(&self) -> &Digest {
        &self.bundle
    }
}
