use crate::{failure::Usage, output::Output};
use alloy::signers::local::PrivateKeySigner;
use anyhow::Context as _;
use clap::ValueEnum;
use keyfile::{Hardness, Identity, Kind, OpenError, Passphrase};
use rand_core::{OsRng, RngCore as _};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};
use zeroize::Zeroizing;

/// What a key file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum KeyKind {
    /// An Ed25519 key with a DID: a person, node or installation.
    Identity,
    /// A secp256k1 key with an address: pays a relayer's gas.
    GasWallet,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "The passphrase comes from COUNTERSIGN_PASSPHRASE or --passphrase-file.\n\n\
                        Examples:\n  countersign keygen keys/approver.key\n  \
                        countersign keygen --kind gas-wallet keys/gas.key\n  countersign keygen --show keys/approver.key")]
pub struct Command {
    /// The key file; never overwritten
    file: PathBuf,
    /// What the key is for
    #[arg(long, value_enum, default_value_t = KeyKind::Identity)]
    kind: KeyKind,
    /// Show whose key the file holds, and make nothing
    #[arg(long)]
    show: bool,
    /// File with the passphrase, when COUNTERSIGN_PASSPHRASE is not set
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Shown<'a> {
    file: &'a Path,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    did: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
}

/// Makes or shows a key file.
#[expect(clippy::unused_async, reason = "every command is run the same way")]
pub async fn run(command: Command, out: &Output) -> anyhow::Result<ExitCode> {
    let passphrase = Passphrase::load(command.passphrase_file.as_deref())?;
    let file = command.file.as_path();
    if !command.show {
        make(file, command.kind, &passphrase, Hardness::Standard)?;
    }
    let shown = match Identity::open(file, &passphrase) {
        Ok(identity) => Shown { file, kind: "identity", did: Some(identity.did().to_string()), address: None },
        Err(OpenError::WrongKind { .. }) => {
            let address = wallet(file, &passphrase)?.address().to_string().to_lowercase();
            Shown { file, kind: "gas-wallet", did: None, address: Some(address) }
        }
        Err(error) => return Err(error.into()),
    };
    let text = shown.did.clone().or_else(|| shown.address.clone()).unwrap_or_default();
    out.show(&shown, &text)?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a new key file.
pub fn make(file: &Path, kind: KeyKind, passphrase: &Passphrase, hardness: Hardness) -> anyhow::Result<()> {
    match kind {
        KeyKind::Identity => Identity::generate(&mut OsRng).save(hardness, file, passphrase, &mut OsRng)?,
        KeyKind::GasWallet => {
            let mut secret = Zeroizing::new([0_u8; 32]);
            OsRng.try_fill_bytes(&mut *secret).context("the system gives no randomness")?;
            // Not a scalar once in 2^128 times.
            PrivateKeySigner::from_slice(&*secret).map_err(|e| Usage(e.to_string()))?;
            keyfile::create_with(hardness, file, passphrase, Kind::GAS_WALLET, &*secret, &mut OsRng)?;
        }
    }
    Ok(())
}

/// Opens a gas wallet.
pub fn wallet(file: &Path, passphrase: &Passphrase) -> anyhow::Result<PrivateKeySigner> {
    let secret = keyfile::open(file, passphrase, Kind::GAS_WALLET)?;
    PrivateKeySigner::from_slice(&secret).context("the key file does not hold a secp256k1 key")
}
