use super::Fields;
use keyfile::{Identity, Passphrase};
use std::{fs::File, path::Path};

/// What opens every key file of a configuration. Its field is read once, and told once if it is wrong.
pub struct Keys(Option<Passphrase>);

impl Keys {
    /// The passphrase from its variable, else from the file that `passphrase_file` names.
    pub fn read(f: &mut Fields) -> Self {
        let file = f.optional_path("passphrase_file");
        let passphrase = Passphrase::load(file.as_deref());
        Self(f.keep("passphrase_file", passphrase))
    }

    /// The node key in the key file that the field `name` names.
    pub fn identity(&self, f: &mut Fields, name: &'static str) -> Option<Identity> {
        self.open(f, name, |path, passphrase| Ok(Identity::open(path, passphrase)?))
    }

    /// What `open` makes of the key file that the field `name` names. Without a passphrase, at least whether there is one.
    pub fn open<T>(
        &self,
        f: &mut Fields,
        name: &'static str,
        open: impl FnOnce(&Path, &Passphrase) -> anyhow::Result<T>,
    ) -> Option<T> {
        let path = f.path(name)?;
        if let Some(passphrase) = &self.0 {
            return f.keep(name, open(&path, passphrase));
        }
        let there = File::open(&path).map_err(|e| anyhow::anyhow!("cannot read {}: {e}", path.display()));
        f.keep(name, there);
        None
    }

    /// The passphrase.
    pub fn passphrase(self) -> Option<Passphrase> {
        self.0
    }
}
