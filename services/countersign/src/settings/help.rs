use std::fmt::Write as _;

/// What is written for a field without a default.
pub const REQUIRED: &str = "required";
/// What every role says of its passphrase.
pub const PASSPHRASE: Field =
    ("passphrase_file", "", "opens the key files; a passphrase in COUNTERSIGN_PASSPHRASE goes before it");

/// A field for the help of its role: its name, its default (empty where it may be missing) and its meaning.
pub type Field<'a> = (&'a str, &'a str, &'a str);

/// A line for each field.
pub fn rows(fields: &[Field]) -> String {
    let mut text = String::new();
    let width = fields.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
    for (name, default, meaning) in fields {
        let default = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        let _ = writeln!(text, "  {name:width$}  {meaning}{default}");
    }
    text
}

/// The fields as the help of a role shows them, between what it does and its examples.
pub fn text(what: &str, fields: &[Field], examples: &str) -> String {
    let mut text = format!(
        "{what}\n\nFields of the configuration file; each is a variable, too: `listen` is COUNTERSIGN_LISTEN, which goes\n\
         before the file. Lists are separated by commas there. Paths, that of SQLite too, begin at the file's folder,\n\
         those of variables where the command runs. Other variables that begin with COUNTERSIGN_ are refused, but for\n\
         those that Kubernetes sets for its services.\n"
    );
    text.push_str(&rows(fields));
    let _ = write!(text, "\n{examples}");
    text
}
