mod meter;
#[cfg(test)]
mod tests;

use crate::{
    Bundle, Code, Decision, ENGINE, Effect, Input, LoadError, Violation, decision::MAX_VIOLATIONS, lint, value,
};
use domain::Digest;
use regorus::{
    Value,
    languages::rego::compiler::Compiler,
    rvm::program::Program,
    rvm::vm::{RegoVM, VmError},
    utils::limits::ExecutionTimerConfig,
};
use std::{
    collections::BTreeSet,
    fmt,
    num::NonZeroU32,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

pub(crate) use meter::{BUILTINS, MAX_BUILTIN_WORK};

/// A decision may execute this many instructions of the engine's machine, which leaves room above the widest payout.
/// It is counted and not timed, so that every machine stops at the same place.
pub const MAX_INSTRUCTIONS: usize = 25_000;
/// Idle machines kept for the next decision: more than threads that decide at once on the largest host.
const MAX_IDLE: usize = 64;
/// The package of the module below. Bundles may not have one of this name.
pub(crate) const ENTRY_PACKAGE: &str = "countersign";
/// The rule that is evaluated.
pub(crate) const ENTRY_RULE: &str = "data.countersign.decision";
/// Reads the three results of a bundle in one evaluation, so that one missing makes the whole undefined.
pub(crate) const ENTRY_MODULE: &str = "package countersign\n\nimport rego.v1\n\ndecision := {\"approvals\": \
                                       data.payout.approvals, \"effect\": data.payout.effect, \"violation\": \
                                       data.payout.violation}\n";

/// A bundle compiled and checked, ready to decide. Shared between threads behind an `Arc`.
pub struct Engine {
    bundle: Digest,
    program: Arc<Program>,
    data: String,
    /// Each machine owns its copy of the data: sharing one would make every thread count references on the same lines.
    idle: Mutex<Vec<RegoVM>>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("bundle", &self.bundle).finish_non_exhaustive()
    }
}

impl Engine {
    /// Checks and compiles a bundle as its authors need it: it decides deterministically and within bounds, its types fit,
    /// and nothing in it fails silently on inputs at the edges. Everything that is wrong with it is in the error, with
    /// file, line and column. Takes up to some seconds.
    pub fn load(bundle: &Bundle) -> Result<Self, LoadError> {
        deep(|| {
            let sources = lint::sources(bundle)?;
            lint::types(&sources)?;
            let engine = Self::compile(bundle)?;
            lint::probe(&engine, bundle, &sources)?;
            Ok(engine)
        })
    }

    /// Checks and compiles a bundle that a log has activated: that it decides deterministically and within bounds. What
    /// else [`Engine::load`] asks is for its authors and was asked then: it may ask more in another build, or stop for
    /// time, and every build must follow every log.
    pub fn reload(bundle: &Bundle) -> Result<Self, LoadError> {
        deep(|| {
            let sources = lint::sources(bundle)?;
            let engine = Self::compile(bundle)?;
            lint::hold(&engine, &sources)?;
            Ok(engine)
        })
    }

    fn compile(bundle: &Bundle) -> Result<Self, LoadError> {
        let program = compile(bundle)?;
        lint::program(&program)?;
        Ok(Self { bundle: bundle.id(), program, data: bundle.data().to_owned(), idle: Mutex::new(Vec::new()) })
    }

    /// Decides. Whatever goes wrong is a denial with [`Code::PolicyError`], whose message is one of a few constants: see
    /// [`Engine::diagnose`] for more.
    pub fn decide(&self, input: &Input) -> Decision {
        self.decision(input, self.evaluate(input))
    }

    /// What went wrong if [`Engine::decide`] denies `input` with [`Code::PolicyError`], in detail and partly in the words
    /// of the engine. For people and logs only: another build of the engine may say it differently, so it is never part
    /// of a decision.
    pub fn diagnose(&self, input: &Input) -> Option<String> {
        self.evaluate(input).err().map(|fault| fault.to_string())
    }

    /// The content address of the bundle that decides.
    pub const fn bundle(&self) -> &Digest {
        &self.bundle
    }

    /// The line and column that an instruction comes from, or else one before it. Of which module the program does not
    /// say reliably.
    pub(crate) fn place(&self, instruction: usize) -> Option<(u32, u32)> {
        (0..=instruction).rev().find_map(|at| {
            let span = self.program.get_instruction_span(at)?;
            Some((u32::try_from(span.line).ok()?, u32::try_from(span.column).ok()?))
        })
    }

    /// Evaluates the bundle and reads its result; what it says wrong is the error.
    pub(crate) fn evaluate(&self, input: &Input) -> Result<Verdict, Fault> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let pooled = idle().pop();
        let mut vm = match pooled {
            Some(vm) => vm,
            None => self.machine()?,
        };
        vm.set_input(value::of(input));
        meter::begin();
        // A machine that failed is dropped with whatever state it is in.
        let result = catch_unwind(AssertUnwindSafe(|| vm.execute()));
        if let Some(builtin) = meter::ended() {
            return Err(Fault::Laborious { builtin });
        }
        let result = result
            .map_err(|_| Fault::Evaluation("the engine failed".to_owned()))?
            .map_err(|e| Fault::of_machine(&e))?;
        let verdict = Verdict::read(&result);
        let mut machines = idle();
        if machines.len() < MAX_IDLE {
            machines.push(vm);
        }
        verdict
    }

    fn machine(&self) -> Result<RegoVM, Fault> {
        let fault = |e: &dyn fmt::Display| Fault::Evaluation(first_line(&e.to_string()));
        let mut vm = RegoVM::new();
        vm.load_program(Arc::clone(&self.program));
        vm.set_data(Value::from_json_str(&self.data).map_err(|e| fault(&e))?).map_err(|e| fault(&e))?;
        vm.set_max_instructions(MAX_INSTRUCTIONS);
        // A builtin that fails ends the body of the rule that calls it, which then gives nothing. Loading refuses bundles
        // in which it does so on a probe.
        vm.set_strict_builtin_errors(true);
        Ok(vm)
    }

    pub(crate) fn decision(&self, input: &Input, outcome: Result<Verdict, Fault>) -> Decision {
        let verdict = outcome.unwrap_or_else(|fault| Verdict {
            effect: Effect::Deny,
            violations: BTreeSet::from([Violation::new(Code::PolicyError, fault.message())]),
            approvals: 0,
        });
        Decision {
            effect: verdict.effect,
            violations: fitting(verdict.violations),
            approvals: verdict.approvals,
            bundle: self.bundle,
            input: input.digest(),
            engine: ENGINE,
        }
    }
}

/// Bytes of the violations of one decision, about as they are written into an entry of the log, which has room for twice as
/// many: each code of the default policy once for each recipient fits.
const MAX_VIOLATION_BYTES: usize = 32 * 1024;
/// What a violation takes beside its code and its message.
const VIOLATION_OVERHEAD: usize = 16;

/// The first violations that fit: a decision is made known whatever there is to say against it.
fn fitting(violations: BTreeSet<Violation>) -> Vec<Violation> {
    let mut left = MAX_VIOLATION_BYTES;
    let mut fits = |violation: &Violation| {
        let size = violation.code.as_str().len().saturating_add(violation.msg.len()).saturating_add(VIOLATION_OVERHEAD);
        left.checked_sub(size).map(|less| left = less).is_some()
    };
    violations.into_iter().take(MAX_VIOLATIONS).take_while(|violation| fits(violation)).collect()
}

/// Address space for the stack that a bundle is loaded on. Sources are refused long before they need it; if one that nests
/// deeper should be missed, it must not end the process.
const LOADING_STACK: usize = 256 * 1024 * 1024;

/// Runs `load` where the depth of a syntax tree does no harm.
fn deep(load: impl Fn() -> Result<Engine, LoadError> + Sync) -> Result<Engine, LoadError> {
    thread::scope(|scope| {
        let loading = thread::Builder::new().stack_size(LOADING_STACK).spawn_scoped(scope, &load);
        // Without memory for it there is only this thread's stack: what is loaded does not depend on it.
        let Ok(loading) = loading else { return load() };
        loading.join().unwrap_or_else(|_| Err(LoadError::whole("bundle", "the engine failed")))
    })
}

/// What a bundle said, well-formed and consistent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) effect: Effect,
    pub(crate) violations: BTreeSet<Violation>,
    pub(crate) approvals: u8,
}

/// Why there is no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the policy does not decide within {MAX_INSTRUCTIONS} instructions")]
    Unbounded {
        /// Where the machine was then.
        instruction: usize,
    },
    #[error("the builtins of one decision go through more than {MAX_BUILTIN_WORK} values, {builtin} last")]
    Laborious {
        /// The one that was called last.
        builtin: &'static str,
    },
    #[error("the policy could not be evaluated: {0}")]
    Evaluation(String),
    #[error("the policy's result is not a decision: {what}")]
    Result {
        /// The rule that gives it.
        rule: &'static str,
        what: String,
    },
    /// Not a mistake of types: a policy may deny by default, but people must be told that it did.
    #[error("the policy denied without naming a violation")]
    Unexplained,
}

impl Fault {
    fn of_machine(error: &VmError) -> Self {
        match error {
            VmError::InstructionLimitExceeded { pc, .. } => Self::Unbounded { instruction: *pc },
            other => Self::Evaluation(first_line(&other.to_string())),
        }
    }

    /// What a decision says of it: constant, so that the bytes of a decision do not depend on the words of the engine.
    const fn message(&self) -> &'static str {
        match self {
            Self::Unbounded { .. } => "the policy does not decide within 25000 instructions",
            Self::Laborious { .. } => "the builtins of the policy go through too much",
            Self::Evaluation(_) => "the policy could not be evaluated",
            Self::Result { .. } => "the policy's result is not a decision",
            Self::Unexplained => "the policy denied without naming a violation",
        }
    }
}

impl Verdict {
    /// Reads `{"effect", "violation", "approvals"}`.
    pub(crate) fn read(result: &Value) -> Result<Self, Fault> {
        let wrong = |rule, what: &str| Fault::Result { rule, what: what.to_owned() };
        let fields =
            result.as_object().map_err(|_| wrong("approvals", "effect, violation or approvals is undefined"))?;
        // By iteration: looking a key up would allocate it, for each decision anew.
        let named = |name: &str| fields.iter().find(|(key, _)| key.as_string().is_ok_and(|key| key.as_ref() == name));
        let field = |name: &'static str| {
            named(name).map(|(_, value)| value).ok_or_else(|| wrong(name, &format!("{name} is undefined")))
        };

        let effect = field("effect")?.as_string().ok().and_then(|s| s.parse::<Effect>().ok());
        let effect = effect.ok_or_else(|| wrong("effect", "effect is not allow, review or deny"))?;
        let approvals = field("approvals")?.as_u8().ok().filter(|n| *n <= crate::MAX_APPROVALS);
        let approvals = approvals.ok_or_else(|| wrong("approvals", "approvals is not an integer from 0 to 16"))?;
        let set = field("violation")?.as_set().map_err(|_| wrong("violation", "violation is not a set"))?;
        let violations = set.iter().map(violation).collect::<Result<BTreeSet<_>, _>>()?;

        match effect {
            Effect::Deny if violations.is_empty() => Err(Fault::Unexplained),
            Effect::Allow | Effect::Review if !violations.is_empty() => {
                Err(wrong("effect", "effect is not deny although there are violations"))
            }
            Effect::Review if approvals == 0 => Err(wrong("effect", "effect is review but approvals is 0")),
            Effect::Allow | Effect::Deny if approvals != 0 => {
                Err(wrong("approvals", "approvals is not 0 although nothing is reviewed"))
            }
            _ => Ok(Self { effect, violations, approvals }),
        }
    }
}

fn violation(value: &Value) -> Result<Violation, Fault> {
    let wrong = |what: &str| Fault::Result { rule: "violation", what: format!("a violation {what}") };
    let fields = value.as_object().map_err(|_| wrong("is not an object"))?;
    // By iteration, as above.
    let text = |name: &str| {
        let (_, value) = fields.iter().find(|(key, _)| key.as_string().is_ok_and(|key| key.as_ref() == name))?;
        value.as_string().ok()
    };
    let (Some(code), Some(msg), 2) = (text("code"), text("msg"), fields.len()) else {
        return Err(wrong("is not {\"code\": string, \"msg\": string}"));
    };
    match code.parse::<Code>() {
        Ok(Code::PolicyError) | Err(_) => Err(wrong(&format!("has the unknown code {code:?}"))),
        Ok(code) => Ok(Violation::new(code, msg)),
    }
}

/// Compiles the sources of a bundle and the entry module for the machine.
fn compile(bundle: &Bundle) -> Result<Arc<Program>, LoadError> {
    let failed = |e: &dyn fmt::Display| lint::located(&e.to_string(), bundle);
    let mut interpreter = interpreter(bundle)?;
    let policy = interpreter.compile_with_entrypoint(&ENTRY_RULE.into()).map_err(|e| failed(&e))?;
    let program = Compiler::compile_from_policy(&policy, &[ENTRY_RULE]).map_err(|e| failed(&e))?;
    Ok(Arc::new(lean(Arc::unwrap_or_clone(program))))
}

/// The machine copies all that is known of a rule each time that the rule is asked for. This takes out of it what the
/// machine never reads, or reads as it reads nothing: the names, and lists of which no element says anything.
fn lean(mut program: Program) -> Program {
    for rule in &mut program.rule_infos {
        rule.name = String::new();
        if let Some(function) = &mut rule.function_info {
            function.param_names = Vec::new();
        }
        if rule.destructuring_blocks.iter().all(Option::is_none) {
            rule.destructuring_blocks = Vec::new();
        }
        if !rule.else_bodies.iter().flatten().any(|is_else| *is_else) {
            rule.else_bodies = Vec::new();
        }
    }
    meter::install(&mut program);
    program
}

/// How long the interpreter may take for one evaluation. It serves authors only and counts nothing itself.
const INTERPRETER: ExecutionTimerConfig =
    ExecutionTimerConfig { limit: Duration::from_secs(1), check_interval: NonZeroU32::MIN };

/// As [`interpreter`], and stops for time.
pub(crate) fn timed_interpreter(bundle: &Bundle) -> Result<regorus::Engine, LoadError> {
    let mut engine = interpreter(bundle)?;
    engine.set_execution_timer_config(INTERPRETER);
    Ok(engine)
}

/// The engine's interpreter with a bundle and the entry module, strict like the machine.
pub(crate) fn interpreter(bundle: &Bundle) -> Result<regorus::Engine, LoadError> {
    let failed = |e: &dyn fmt::Display| lint::located(&e.to_string(), bundle);
    let mut engine = regorus::Engine::new();
    engine.set_rego_v0(false);
    engine.set_strict_builtin_errors(true);
    for (path, source) in bundle.modules() {
        engine.add_policy(path.clone(), source.clone()).map_err(|e| failed(&e))?;
    }
    engine.add_policy("countersign/entry.rego".to_owned(), ENTRY_MODULE.to_owned()).map_err(|e| failed(&e))?;
    let data = Value::from_json_str(bundle.data()).map_err(|e| LoadError::whole("data", first_line(&e.to_string())))?;
    engine.add_data(data).map_err(|e| LoadError::whole("data", first_line(&e.to_string())))?;
    Ok(engine)
}

/// The line of an engine's message that says what is wrong: the one after the source excerpt, or the first.
pub(crate) fn first_line(message: &str) -> String {
    let line = message.lines().find_map(|line| line.strip_prefix("error: "));
    line.or_else(|| message.lines().find(|line| !line.trim().is_empty())).unwrap_or("unknown error").to_owned()
}
