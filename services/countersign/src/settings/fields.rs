use super::service_links::is_service_link;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};
use storage::Storage;
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
#[derive(Default)]
pub struct Fields {
    file: Option<PathBuf>,
    table: Table,
    variables: BTreeMap<String, String>,
    known: BTreeSet<&'static str>,
    mistakes: Vec<String>,
    is_shared: bool,
    /// The table in a list whose fields these are, such as `chains[0]`.
    within: Option<String>,
}

/// Variables of this program and of its tests that are no fields: without their prefix, in lower case.
const NOT_FIELDS: [&str; 9] =
    ["anvil", "bin", "budget_cases", "client", "interop", "kill_seed", "log_cases", "passphrase", "tests"];
/// Fields whose values may hold a password or an access key: they are not repeated where they are wrong.
const MAY_HOLD_SECRETS: [&str; 4] = ["control_plane", "database", "rpc", "signers"];

impl Fields {
    /// Reads `file`, if one is named, and takes the process's `COUNTERSIGN_…` variables.
    pub fn read(file: Option<&Path>) -> Result<Self, Mistakes> {
        let (mut variables, mut unreadable) = (BTreeMap::new(), Vec::new());
        for (name, value) in std::env::vars_os() {
            let Some(field) = name.to_str().and_then(|n| n.strip_prefix("COUNTERSIGN_")) else { continue };
            match value.into_string() {
                Ok(value) => drop(variables.insert(field.to_lowercase(), value)),
                Err(_) => unreadable.push(format!("COUNTERSIGN_{field}: not UTF-8")),
            }
        }
        let mut fields = Self::with(file, variables)?;
        fields.mistakes = unreadable;
        Ok(fields)
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
        Ok(Self { file: file.map(Path::to_owned), table, variables, ..Self::default() })
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

    /// A path that must be there. In the file it begins at the file's folder, in a variable where the process runs.
    pub fn path(&mut self, name: &'static str) -> Option<PathBuf> {
        let path = self.required::<PathBuf>(name)?;
        Some(self.resolve(name, &path))
    }

    /// As [`Fields::path`], and may be missing.
    pub fn optional_path(&mut self, name: &'static str) -> Option<PathBuf> {
        let path = self.optional::<PathBuf>(name)?;
        Some(self.resolve(name, &path))
    }

    /// The URL of a database, which may be missing. The path of SQLite's begins where [`Fields::path`] does.
    pub fn database(&mut self, name: &'static str) -> Option<String> {
        let url: String = self.optional(name)?;
        let file = Storage::file(&url).map(|path| format!("sqlite:{}", self.resolve(name, path).display()));
        Some(file.unwrap_or(url))
    }

    /// A list: an array in the file, separated by commas in a variable. Empty when missing; `None` when any item is
    /// wrong.
    pub fn list<T: FromStr<Err: Display>>(&mut self, name: &'static str) -> Option<Vec<T>> {
        self.known.insert(name);
        let items: Vec<String> = match (self.variables.get(name), self.table.get(name)) {
            (Some(text), _) => text.split(',').map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()).collect(),
            (None, Some(Value::Array(items))) => items.iter().map(plain).collect(),
            (None, Some(other)) => vec![plain(other)],
            (None, None) => Vec::new(),
        };
        let parsed: Vec<Option<T>> = items.iter().map(|text| self.parse(name, text)).collect();
        parsed.into_iter().collect()
    }

    /// A list of tables that must be there: an array of them in the file, the same as TOML in a variable. `read` takes
    /// the fields of one. `None` when any is wrong. Nothing of them is repeated: any value may hold an access key.
    pub fn tables<T>(&mut self, name: &'static str, mut read: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.known.insert(name);
        let value = match self.variables.get(name) {
            Some(text) => Some(toml_value(name, text)),
            None => self.table.get(name).cloned(),
        };
        let Some(value) = value else {
            self.missing(name);
            return None;
        };
        let Value::Array(items) = value else {
            self.mistake(name, "not a list of tables");
            return None;
        };
        let one = |(place, item): (usize, Value)| {
            let within = format!("{name}[{place}]");
            let Value::Table(table) = item else {
                self.mistake(&within, "not a table");
                return None;
            };
            let mut fields = Self { file: None, table, within: Some(within), ..Self::default() };
            let value = read(&mut fields);
            fields.finish(value).map_err(|mistakes| self.mistakes.extend(mistakes.all)).ok()
        };
        let read: Vec<Option<T>> = items.into_iter().enumerate().map(one).collect();
        read.into_iter().collect()
    }

    /// Where a field was told: its variable, or the file. `None` for what is neither.
    pub fn told_by(&self, name: &str) -> Option<String> {
        if self.variables.contains_key(name) {
            return Some(format!("COUNTERSIGN_{}", name.to_uppercase()));
        }
        self.table.contains_key(name).then(|| "the configuration file".to_owned())
    }

    /// A variable that other programs read, too. One without a value was meant to have one.
    pub fn foreign(&mut self, name: &str) -> Option<String> {
        let value = std::env::var_os(name)?.into_string().map_err(|_| anyhow::anyhow!("not UTF-8"));
        let value = value.and_then(|v| {
            if v.is_empty() { Err(anyhow::anyhow!("empty; unset it or give it a value")) } else { Ok(v) }
        });
        self.keep(name, value)
    }

    /// Takes variables that are no fields here for those of a service in the same environment.
    pub const fn share_variables(&mut self) {
        self.is_shared = true;
    }

    /// Notes what is wrong with a field.
    pub fn mistake(&mut self, name: &str, what: impl Display) {
        let within = self.within.as_ref().map_or_else(String::new, |within| format!("{within}."));
        self.mistakes.push(format!("{within}{name}: {what}"));
    }

    /// The value; an error is noted with its causes.
    pub fn keep<T, E: Into<anyhow::Error>>(&mut self, name: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|e| self.mistake(name, format_args!("{:#}", e.into()))).ok()
    }

    /// Notes that a field is missing.
    pub fn missing(&mut self, name: &str) {
        if self.within.is_some() {
            return self.mistake(name, "missing");
        }
        let variable = name.to_uppercase();
        self.mistake(name, format_args!("missing; set it in the file or as COUNTERSIGN_{variable}"));
    }

    /// `value`, when it is there and nothing at all was wrong, unknown fields and variables included.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Mistakes> {
        let names = self.names();
        let unknown = self.table.keys().filter(|k| !self.known.contains(k.as_str()));
        for name in unknown.cloned().collect::<Vec<_>>() {
            self.mistake(&name, format_args!("unknown field; known are {names}"));
        }
        let is_ours = |name: &str| self.known.contains(name) || NOT_FIELDS.contains(&name);
        let is_unknown = |(name, value): &(&String, &String)| !is_ours(name) && !is_service_link(name, value);
        let unknown = self.variables.iter().filter(|_| !self.is_shared).filter(is_unknown);
        for name in unknown.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            let name = format!("COUNTERSIGN_{}", name.to_uppercase());
            self.mistake(&name, format_args!("unknown variable; known fields are {names}"));
        }
        match value {
            Some(value) if self.mistakes.is_empty() => Ok(value),
            _ => Err(Mistakes { file: self.file, all: self.mistakes }),
        }
    }

    fn names(&self) -> String {
        self.known.iter().copied().collect::<Vec<_>>().join(", ")
    }

    fn resolve(&self, name: &str, path: &Path) -> PathBuf {
        let folder = self.file.as_deref().and_then(Path::parent).filter(|_| !self.variables.contains_key(name));
        folder.map_or_else(|| path.to_owned(), |folder| folder.join(path))
    }

    fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.insert(name);
        self.variables.get(name).cloned().or_else(|| self.table.get(name).map(plain))
    }

    fn parse<T: FromStr<Err: Display>>(&mut self, name: &str, text: &str) -> Option<T> {
        match text.parse() {
            Ok(value) => Some(value),
            Err(e) if self.within.is_some() || MAY_HOLD_SECRETS.contains(&name) => {
                self.mistake(name, e);
                None
            }
            Err(e) => {
                self.mistake(name, format_args!("{e}, not {text:?}"));
                None
            }
        }
    }
}

/// The value of `name` that a text is in TOML; the text itself when it is none, or more than that.
fn toml_value(name: &str, text: &str) -> Value {
    let table = format!("{name} = {text}").parse::<Table>().ok().filter(|table| table.len() == 1);
    table.and_then(|mut table| table.remove(name)).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Strings without their quotes, everything else as TOML writes it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
