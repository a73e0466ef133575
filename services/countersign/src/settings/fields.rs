use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};
use toml::{Table, Value};

/// Everything that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration{} has {} {}:{}", place(.file.as_deref()), .all.len(), if .all.len() == 1 { "mistake" } else { "mistakes" }, lines(.all))]
pub struct Mistakes {
    file: Option<PathBuf>,
    all: Vec<String>,
}

fn place(file: Option<&Path>) -> String {
    file.map_or_else(String::new, |f| format!(" {}", f.display()))
}

fn lines(all: &[String]) -> String {
    all.iter().flat_map(|m| ["\n  - ", m.as_str()]).collect()
}

/// The fields of one configuration as they are read; remembers which were asked for and what was wrong.
pub struct Fields {
    file: Option<PathBuf>,
    table: Table,
    variables: BTreeMap<String, String>,
    known: BTreeSet<&'static str>,
    mistakes: Vec<String>,
    is_shared: bool,
}

/// Variables of this program and of its tests that are no fields: without their prefix, in lower case.
const NOT_FIELDS: [&str; 9] =
    ["anvil", "bin", "budget_cases", "client", "interop", "kill_seed", "log_cases", "passphrase", "tests"];

impl Fields {
    /// Reads `file`, if one is named, and takes the process's `COUNTERSIGN_…` variables.
    pub fn read(file: Option<&Path>) -> Result<Self, Mistakes> {
        let prefix = |(name, value): (String, String)| Some((name.strip_prefix("COUNTERSIGN_")?.to_lowercase(), value));
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter_map(prefix);
        Self::with(file, variables.collect())
    }

    /// As [`Fields::read`], with the variables given: lower-case names without their prefix.
    pub fn with(file: Option<&Path>, variables: BTreeMap<String, String>) -> Result<Self, Mistakes> {
        let wrong = |mistake: String| Mistakes { file: file.map(Path::to_owned), all: vec![mistake] };
        let text = match file.map(fs::read_to_string) {
            None => String::new(),
            Some(Ok(text)) => text,
            Some(Err(e)) if e.kind() == io::ErrorKind::NotFound => {
                return Err(wrong("there is no such file".to_owned()));
            }
            Some(Err(e)) => return Err(wrong(format!("cannot be read: {e}"))),
        };
        // The place and the reason alone: the line itself may hold a password.
        let not_toml = |e: toml::de::Error| {
            let before = e.span().and_then(|s| text.get(..s.start));
            let line = before.map_or_else(String::new, |b| format!(" in line {}", b.split('\n').count()));
            wrong(format!("not TOML{line}: {}", e.message()))
        };
        let table = text.parse().map_err(not_toml)?;
        Ok(Self {
            file: file.map(Path::to_owned),
            table,
            variables,
            known: BTreeSet::new(),
            mistakes: Vec::new(),
            is_shared: false,
        })
    }

    /// A field that must be there.
    pub fn required<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        let Some(text) = self.text(name) else {
            self.missing(name);
            return None;
        };
        self.parse(name, &text)
    }

    /// A field that may be missing; `None` also when it is wrong.
    pub fn optional<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<T> {
        let text = self.text(name)?;
        self.parse(name, &text)
    }

    /// A path that must be there, relative to the configuration file.
    pub fn path(&mut self, name: &'static str) -> Option<PathBuf> {
        let path = self.required::<PathBuf>(name)?;
        Some(self.resolve(&path))
    }

    /// A path that may be missing.
    pub fn optional_path(&mut self, name: &'static str) -> Option<PathBuf> {
        let path = self.optional::<PathBuf>(name)?;
        Some(self.resolve(&path))
    }

    /// A list: an array in the file, separated by commas in a variable. Empty when missing.
    pub fn list<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Vec<T> {
        self.known.insert(name);
        let items: Vec<String> = match (self.variables.get(name), self.table.get(name)) {
            (Some(text), _) => text.split(',').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect(),
            (None, Some(Value::Array(items))) => items.iter().map(plain).collect(),
            (None, Some(other)) => vec![plain(other)],
            (None, None) => Vec::new(),
        };
        items.iter().filter_map(|text| self.parse(name, text)).collect()
    }

    /// A field of its own shape.
    pub fn value<T: serde::de::DeserializeOwned>(&mut self, name: &'static str) -> Option<T> {
        self.known.insert(name);
        let Some(value) = self.table.get(name).cloned() else {
            self.missing(name);
            return None;
        };
        match value.try_into() {
            Ok(value) => Some(value),
            Err(e) => {
                self.mistake(format!("{name}: {}", e.message()));
                None
            }
        }
    }

    /// Takes variables that are no fields here for those of a service in the same environment.
    pub const fn share_variables(&mut self) {
        self.is_shared = true;
    }

    /// Notes something that is wrong.
    pub fn mistake(&mut self, mistake: impl Into<String>) {
        self.mistakes.push(mistake.into());
    }

    /// Notes that a field is missing.
    pub fn missing(&mut self, name: &str) {
        self.mistake(format!("{name}: missing; set it in the file or as COUNTERSIGN_{}", name.to_uppercase()));
    }

    /// `value`, when it is there and nothing at all was wrong, unknown fields and variables included.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Mistakes> {
        let unknown = self.table.keys().filter(|k| !self.known.contains(k.as_str()));
        let unknown: Vec<_> = unknown.map(|k| format!("{k}: unknown field; known are {}", self.names())).collect();
        self.mistakes.extend(unknown);
        let is_unknown = |v: &&String| !self.known.contains(v.as_str()) && !NOT_FIELDS.contains(&v.as_str());
        let unknown = self.variables.keys().filter(|_| !self.is_shared).filter(is_unknown);
        let name = |v: &String| {
            format!("COUNTERSIGN_{}: unknown variable; known fields are {}", v.to_uppercase(), self.names())
        };
        let unknown: Vec<_> = unknown.map(name).collect();
        self.mistakes.extend(unknown);
        match value {
            Some(value) if self.mistakes.is_empty() => Ok(value),
            _ => Err(Mistakes { file: self.file, all: self.mistakes }),
        }
    }

    fn names(&self) -> String {
        self.known.iter().copied().collect::<Vec<_>>().join(", ")
    }

    fn resolve(&self, path: &Path) -> PathBuf {
        let folder = self.file.as_deref().and_then(Path::parent);
        folder.map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.insert(name);
        self.variables.get(name).cloned().or_else(|| self.table.get(name).map(plain))
    }

    fn parse<T: FromStr<Err: Display>>(&mut self, name: &str, text: &str) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(e) => {
                self.mistake(format!("{name}: {e}, not {text:?}"));
                None
            }
        }
    }
}

/// Strings without their quotes, everything else as TOML writes it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
