use crate::{failure::REFUSED, failure::Usage, output::Output};
use ::policy::{
    Bundle, Effect, Finding, Input, LoadError,
    explain::{Explanation, explain},
    testing::{self, TestOutcome, TestResult},
};
use clap::Subcommand;
use domain::Digest;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The tests of the bundle that a tenant starts with.
const DEFAULT_TESTS: [(&str, &str); 2] = [
    ("payout/payout_test.rego", include_str!("../../../../policy/rego/payout/payout_test.rego")),
    ("payout/recipients_test.rego", include_str!("../../../../policy/rego/payout/recipients_test.rego")),
];
/// No bundle nests deeper; a folder that does is not one.
const MAX_DEPTH: usize = 8;

#[derive(Debug, clap::Args)]
pub struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Run the test_ rules of a bundle's *_test.rego files
    #[command(after_help = "Exit codes: 0 all passed, 1 not all, 2 used wrongly.\n\n\
                            Examples:\n  countersign policy test                the built-in bundle\n  \
                            countersign policy test policy/rego")]
    Test {
        #[command(flatten)]
        source: Source,
    },
    /// Check that a bundle can only decide deterministically: every finding with file, line and column
    #[command(after_help = "Exit codes: 0 the bundle loads, 1 it does not, 2 used wrongly.\n\n\
                            Example:\n  countersign policy check policy/rego")]
    Check {
        #[command(flatten)]
        source: Source,
    },
    /// Decide one input and show, rule by rule, why
    #[command(after_help = "The input is what policy/schema/payout.input.json describes.\n\
                            Exit codes: 0 allow or review, 1 deny or the bundle does not load, 2 used wrongly.\n\n\
                            Example:\n  countersign policy eval policy/rego --input input.json")]
    Eval {
        #[command(flatten)]
        source: Source,
        /// JSON file with the input
        #[arg(long, value_name = "FILE")]
        input: PathBuf,
    },
}

/// Where a bundle is.
#[derive(Debug, clap::Args)]
struct Source {
    /// Folder with the bundle's *.rego files, its *_test.rego files and one *.json of data; or one *.rego file
    /// [default: the built-in bundle]
    path: Option<PathBuf>,
    /// The data document, when it is not the folder's only *.json
    #[arg(long, value_name = "FILE", requires = "path")]
    data: Option<PathBuf>,
}

struct Loaded {
    bundle: Result<Bundle, LoadError>,
    tests: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Tested {
    ok: bool,
    passed: usize,
    total: usize,
    tests: Vec<TestResult>,
    findings: Vec<Finding>,
}

#[derive(Serialize)]
struct Checked {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    bundle: Option<Digest>,
    findings: Vec<Finding>,
}

/// Tests, checks or explains a bundle.
#[expect(clippy::unused_async, reason = "every command runs alike")]
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    match command.action {
        Action::Test { source } => test(&source.load()?, *out),
        Action::Check { source } => check(source.load()?.bundle, *out),
        Action::Eval { source, input } => {
            let text = read(&input)?;
            let input: Input = serde_json::from_str(&text).map_err(|e| Usage(format!("{}: {e}", input.display())))?;
            let bundle = source.load()?.bundle;
            match bundle.and_then(|bundle| explain(&bundle, &input)) {
                Ok(explanation) => explained(&explanation, *out),
                Err(error) => rejected(&error, *out),
            }
        }
    }
}

fn test(loaded: &Loaded, out: Output) -> anyhow::Result<ExitCode> {
    let bundle = match &loaded.bundle {
        Ok(bundle) => bundle,
        Err(error) => return rejected(error, out),
    };
    let (tests, findings) = match testing::run(bundle, &loaded.tests) {
        Ok(tests) => (tests, Vec::new()),
        Err(error) => (Vec::new(), error.findings().to_vec()),
    };
    let passed = tests.iter().filter(|t| t.outcome == TestOutcome::Passed).count();
    // A run without tests proves nothing, so it does not pass.
    let ok = findings.is_empty() && !tests.is_empty() && passed == tests.len();
    let mut text = lines(&findings);
    if !text.is_empty() {
        text.push('\n');
    }
    for failed in tests.iter().filter(|t| t.outcome != TestOutcome::Passed) {
        let why = match &failed.outcome {
            TestOutcome::Error(why) => why.as_str(),
            _ => "not true",
        };
        let _ = writeln!(text, "FAILED {}.{}  {}:{}: {why}", failed.package, failed.name, failed.file, failed.line);
    }
    let _ = write!(text, "{passed} of {} tests passed", tests.len());
    let total = tests.len();
    out.show(&Tested { ok, passed, total, tests, findings }, &text)?;
    Ok(exit(ok))
}

fn check(bundle: Result<Bundle, LoadError>, out: Output) -> anyhow::Result<ExitCode> {
    let bundle = match bundle {
        Ok(bundle) => bundle,
        Err(error) => return rejected(&error, out),
    };
    let findings = testing::check(&bundle);
    let ok = findings.is_empty();
    let id = bundle.id();
    let text = if ok { format!("the bundle loads: {id}") } else { lines(&findings) };
    out.show(&Checked { ok, bundle: Some(id), findings }, &text)?;
    Ok(exit(ok))
}

fn explained(explanation: &Explanation, out: Output) -> anyhow::Result<ExitCode> {
    let decision = &explanation.decision;
    let mut text = format!("decision: {}", decision.effect);
    if decision.approvals > 0 {
        let _ = write!(text, ", {} approval(s) required", decision.approvals);
    }
    for violation in &decision.violations {
        let _ = write!(text, "\n  - {}: {}", violation.code, violation.msg);
    }
    text.push_str("\nrules:");
    for rule in &explanation.rules {
        let mark = match (rule.fired, &rule.error) {
            (_, Some(_)) => "error",
            (true, None) => "fired",
            (false, None) => "-",
        };
        let _ = write!(text, "\n  {mark:<6} {:<24} {}:{}", rule.code.as_str(), rule.file, rule.line);
        for line in rule.msgs.iter().chain(&rule.error) {
            let _ = write!(text, "\n           {line}");
        }
    }
    text.push_str("\ndefinitions:");
    for definition in &explanation.definitions {
        let (mark, value) = match (&definition.value, &definition.error) {
            (_, Some(error)) => ("error", error.clone()),
            (Some(value), None) if definition.default => ("default", value.to_string()),
            (Some(value), None) => ("holds", value.to_string()),
            (None, None) => ("-", String::new()),
        };
        let place = format!("{}:{}", definition.file, definition.line);
        let _ = write!(text, "\n  {mark:<7} {:<23} {place:<24} {value}", definition.rule);
    }
    out.show(explanation, &text)?;
    Ok(exit(decision.effect != Effect::Deny))
}

fn rejected(error: &LoadError, out: Output) -> anyhow::Result<ExitCode> {
    let findings = error.findings().to_vec();
    let text = lines(&findings);
    out.show(&Checked { ok: false, bundle: None, findings }, &text)?;
    Ok(exit(false))
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn exit(ok: bool) -> ExitCode {
    if ok { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) }
}

impl Source {
    fn load(&self) -> Result<Loaded, Usage> {
        let Some(path) = &self.path else {
            let tests = DEFAULT_TESTS.map(|(path, source)| (path.to_owned(), source.to_owned())).into();
            return Ok(Loaded { bundle: Ok(Bundle::default_payout()), tests });
        };
        let mut found = BTreeMap::new();
        if path.is_dir() {
            walk(path, path, 0, &mut found)?;
        } else {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if !has_extension(name, "rego") {
                return Err(Usage(format!("{}: neither a folder nor a *.rego file", path.display())));
            }
            found.insert(name.to_owned(), path.clone());
        }
        let (mut modules, mut tests, mut data) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for (name, file) in found {
            if name.ends_with("_test.rego") {
                tests.insert(name, read(&file)?);
            } else if has_extension(&name, "rego") {
                modules.insert(name, read(&file)?);
            } else if has_extension(&name, "json") {
                data.push(file);
            }
        }
        let data = match (&self.data, data.as_slice()) {
            (Some(file), _) | (None, [file]) => read(file)?,
            (None, []) => "{}".to_owned(),
            (None, _) => {
                return Err(Usage(format!("{}: more than one *.json; say which with --data", path.display())));
            }
        };
        Ok(Loaded { bundle: Bundle::new(modules, data), tests })
    }
}

fn has_extension(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|e| e == extension)
}

/// The files below `folder`, by their path inside `root` with forward slashes.
fn walk(root: &Path, folder: &Path, depth: usize, found: &mut BTreeMap<String, PathBuf>) -> Result<(), Usage> {
    let failed = |e: std::io::Error| Usage(format!("{}: {e}", folder.display()));
    if depth > MAX_DEPTH {
        return Err(Usage(format!("{}: folders nest too deep", folder.display())));
    }
    for item in std::fs::read_dir(folder).map_err(failed)? {
        let path = item.map_err(failed)?.path();
        if path.is_dir() {
            walk(root, &path, depth.saturating_add(1), found)?;
        } else if let Ok(inside) = path.strip_prefix(root) {
            let name: Vec<String> = inside.components().map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
            found.insert(name.join("/"), path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, Usage> {
    std::fs::read_to_string(path).map_err(|e| Usage(format!("{}: {e}", path.display())))
}
