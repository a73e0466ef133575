//! A chain on this machine, and an account on it that has money.

use super::{Folder, Record, children::Spec, until};
use crate::failure::{Unavailable, Usage};
use alloy::{
    network::{EthereumWallet, TransactionBuilder as _},
    primitives::{Bytes, U256},
    providers::{DynProvider, Provider as _, ProviderBuilder},
    rpc::types::TransactionRequest,
    signers::local::PrivateKeySigner,
};
use anyhow::{Context as _, ensure};
use domain::{Address, ChainAmount, ChainId, Digest, NodeUrl};
use std::{
    ffi::{OsStr, OsString},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

/// The chain id of anvil and Hardhat, which wallets know as a local chain.
pub const LOCAL: ChainId = ChainId(31_337);
/// Chain ids of local chains: of anvil and Hardhat, and of Ganache and geth's developer mode.
const LOCAL_CHAINS: [ChainId; 2] = [LOCAL, ChainId(1_337)];
/// Permission bits of whoever may run a file.
const ANYBODY_RUNS: u32 = 0o111;
/// The first account of anvil's public mnemonic "test test … junk": everybody knows it, so it never holds anything.
const FUNDER: Digest = Digest::from_bytes([
    0xac, 0x09, 0x74, 0xbe, 0xc3, 0x9a, 0x17, 0xe3, 0x6b, 0xa4, 0xa6, 0xb4, 0xd2, 0x38, 0xff, 0x94, 0x4b, 0xac, 0xb4,
    0x78, 0xcb, 0xed, 0x5e, 0xfc, 0xae, 0x78, 0x4d, 0x7b, 0xf4, 0xf2, 0xff, 0x80,
]);
/// A local chain mines at once; looking often costs nothing.
const POLL: Duration = Duration::from_millis(25);
/// A transaction that no block takes for so long will not be taken.
const PATIENCE: Duration = Duration::from_mins(1);

/// How the local chain is run: transactions are mined at once, and blocks keep coming, so that finality is reached.
pub fn anvil(folder: &Folder, record: &Record, tool: Vec<OsString>) -> anyhow::Result<Spec> {
    let port = record.chain.rpc.as_str().rsplit(':').next().unwrap_or_default().to_owned();
    let mut arguments: Vec<OsString> = vec!["leash".into(), "--".into()];
    arguments.extend(tool);
    let id = record.chain.id.0.to_string();
    for argument in ["--host", "127.0.0.1", "--port", &port, "--chain-id", &id, "--block-time", "1", "--mixed-mining"] {
        arguments.push(argument.into());
    }
    arguments.push("--state".into());
    arguments.push(folder.path().join("chain/state.json").into());
    arguments.extend(["--state-interval", "5", "--quiet"].map(Into::into));
    let program = std::env::current_exe().context("this program does not know where it is")?;
    Ok(Spec { name: "chain".to_owned(), program, arguments, log: folder.log("chain") })
}

/// Whether a file can be run.
fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & ANYBODY_RUNS != 0)
}

/// A program of that name in the folders of PATH.
fn in_path(name: &OsStr) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| is_program(file))
}

/// The command line that runs anvil. What is named has to be there: its process would be tried for minutes.
pub fn find(program: Option<&Path>) -> anyhow::Result<Vec<OsString>> {
    if let Some(program) = program {
        let name = program.as_os_str();
        let is_bare = program.file_name() == Some(name);
        if (is_bare && in_path(name).is_some()) || (!is_bare && is_program(program)) {
            return Ok(vec![program.into()]);
        }
        return Err(Usage(format!("--anvil {}: there is no such program", program.display())).into());
    }
    let scripts =
        [PathBuf::from("contracts/tool.sh"), Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/tool.sh")];
    let installed =
        |s: &PathBuf| s.is_file() && s.parent().is_some_and(|p| p.join("node_modules/@foundry-rs").is_dir());
    if let Some(script) = scripts.into_iter().find(installed) {
        return Ok(vec!["sh".into(), script.into(), "anvil".into()]);
    }
    let found = in_path(OsStr::new("anvil"));
    let advice = "no anvil: run `npm ci` in contracts/, install Foundry, or name a running chain with --rpc";
    Ok(vec![found.ok_or_else(|| Unavailable(advice.to_owned()))?.into()])
}

/// A chain by its RPC endpoint, and an account with money on it.
#[derive(Clone)]
pub struct Chain {
    provider: DynProvider,
    funder: Address,
}

/// Waits until a chain answers.
pub async fn wait(rpc: &NodeUrl, patience: Duration) -> anyhow::Result<Chain> {
    let chain = Chain::connect(rpc)?;
    until(patience, async || Ok(chain.id().await.ok())).await?;
    Ok(chain)
}

/// The id of a chain that runs already. Only a local one will do: what is done here is signed with a key that everybody
/// knows, and takes coins and contracts for toys.
pub async fn local_id(rpc: &NodeUrl, patience: Duration) -> anyhow::Result<ChainId> {
    let chain = wait(rpc, patience).await.map_err(|e| {
        Unavailable(format!("no chain answers at {rpc}: {e:#}; start one there, or leave out --rpc for one of its own"))
    })?;
    let id = chain.id().await?;
    if LOCAL_CHAINS.contains(&id) {
        return Ok(id);
    }
    let said = format!("the chain at --rpc has id {}; only local chains are used, which have id 31337 or 1337", id.0);
    Err(Usage(said).into())
}

const fn alloy_address(address: Address) -> alloy::primitives::Address {
    alloy::primitives::Address::new(address.0)
}

impl Chain {
    /// Speaks to the chain at `rpc` as the well-known first account of local chains.
    pub fn connect(rpc: &NodeUrl) -> anyhow::Result<Self> {
        let signer = PrivateKeySigner::from_slice(FUNDER.as_bytes())?;
        let funder = Address(signer.address().into_array());
        let url = rpc.as_str().parse().map_err(|_| Usage(format!("{rpc} is not a URL")))?;
        let http = reqwest::Client::builder().no_proxy().build()?;
        let provider = ProviderBuilder::new().wallet(EthereumWallet::from(signer)).connect_reqwest(http, url);
        provider.client().set_poll_interval(POLL);
        Ok(Self { provider: provider.erased(), funder })
    }

    /// Who pays for what is done here.
    pub const fn funder(&self) -> Address {
        self.funder
    }

    /// The chain's EIP-155 id.
    pub async fn id(&self) -> anyhow::Result<ChainId> {
        Ok(ChainId(self.provider.get_chain_id().await?))
    }

    /// How many blocks there are.
    pub async fn height(&self) -> anyhow::Result<u64> {
        Ok(self.provider.get_block_number().await?)
    }

    /// Deploys a contract.
    pub async fn deploy(&self, code: Vec<u8>) -> anyhow::Result<Address> {
        let receipt = self.run(TransactionRequest::default().with_deploy_code(Bytes::from(code))).await?;
        let address = receipt.contract_address.context("the deployment made no contract")?;
        Ok(Address(address.into_array()))
    }

    /// Calls a contract in a transaction.
    pub async fn send(&self, to: Address, data: Vec<u8>) -> anyhow::Result<()> {
        let request = TransactionRequest::default().with_to(alloy_address(to)).with_input(Bytes::from(data));
        self.run(request).await.map(|_| ())
    }

    /// Gives an account coins to pay gas with, in wei.
    pub async fn fund(&self, to: Address, wei: u128) -> anyhow::Result<()> {
        let request = TransactionRequest::default().with_to(alloy_address(to)).with_value(U256::from(wei));
        self.run(request).await.map(|_| ())
    }

    /// Asks a contract.
    pub async fn read(&self, to: Address, data: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        let request = TransactionRequest::default().with_to(alloy_address(to)).with_input(Bytes::from(data));
        Ok(self.provider.call(request).await?.to_vec())
    }

    /// An account's balance of a token, in base units.
    pub async fn token_balance(&self, token: Address, account: Address) -> anyhow::Result<u128> {
        let returned = self.read(token, escrow::token::balance_calldata(account)).await?;
        Ok(escrow::token::balance(&returned)?.get())
    }

    /// What an order holds in the escrow contract, in base units.
    pub async fn order_balance(&self, contract: Address, order: &str, asset: Address) -> anyhow::Result<u128> {
        let order = Digest::sha256(order.as_bytes());
        let returned = self.read(contract, escrow::read::balance_calldata(&order, asset)).await?;
        Ok(escrow::read::balance(&returned)?.get())
    }

    /// Mints test dollars and deposits them for an order.
    pub async fn deposit(&self, record: &Record, order: &str, units: u128) -> anyhow::Result<()> {
        let (Some(contract), Some(token)) = (record.chain.escrow, record.chain.token) else {
            anyhow::bail!("the contracts are not deployed");
        };
        let units = amount(units)?;
        self.send(token, escrow::token::mint_calldata(self.funder, units)).await?;
        self.send(token, escrow::token::approve_calldata(contract, units)).await?;
        let order = Digest::sha256(order.as_bytes());
        self.send(contract, escrow::deposit_calldata(&order, token, units)).await
    }

    async fn run(&self, request: TransactionRequest) -> anyhow::Result<alloy::rpc::types::TransactionReceipt> {
        let work = async {
            let sent = self.provider.send_transaction(request).await?;
            anyhow::Ok(sent.get_receipt().await?)
        };
        let receipt = tokio::time::timeout(PATIENCE, work).await;
        let receipt = receipt.map_err(|_| Unavailable("no block takes the transaction".to_owned()))??;
        ensure!(receipt.status(), "the transaction {} failed", receipt.transaction_hash);
        Ok(receipt)
    }
}

/// Base units as the contracts' crate takes them.
pub fn amount(units: u128) -> anyhow::Result<ChainAmount> {
    Ok(ChainAmount::try_from(units.to_string())?)
}
