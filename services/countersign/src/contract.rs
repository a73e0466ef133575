//! What an escrow contract says of itself, by one RPC endpoint.

use crate::failure::{Unavailable, Usage};
use alloy::{
    primitives::{Address as EvmAddress, Bytes},
    providers::{Provider as _, ProviderBuilder},
    rpc::types::TransactionRequest,
};
use anyhow::ensure;
use domain::{Address, AssetId, ChainAmount, NodeUrl, Scale};
use escrow::read;
use messages::TenantView;
use serde::Serialize;
use std::{future::Future, time::Duration};

/// An endpoint that takes longer is down.
const PATIENCE: Duration = Duration::from_secs(10);

/// A tenant's contract in the newest block.
#[derive(Debug, Serialize)]
pub struct Contract {
    /// Whether its guardian has frozen it.
    pub frozen: bool,
    /// Who may freeze it.
    pub guardian: Address,
    /// What its next change must carry.
    pub nonce: u64,
    /// The epoch of its key.
    pub epoch: u64,
    /// The caps of the tenant's assets.
    pub caps: Vec<Allowance>,
}

/// An asset's daily cap, in minor units.
#[derive(Debug, Serialize)]
pub struct Allowance {
    /// The asset.
    pub asset: AssetId,
    /// The most that is paid out in a UTC day; zero when nothing is.
    pub cap: String,
    /// How much of it is used today.
    pub spent: String,
}

/// Reads a tenant's contract.
pub async fn look(rpc: &NodeUrl, tenant: &TenantView) -> anyhow::Result<Contract> {
    // The URL may hold an access key, so that errors do not show it.
    let url = rpc.as_str().parse().map_err(|_| Usage("the RPC endpoint is not a URL".to_owned()))?;
    let http = reqwest::Client::builder().no_proxy().build()?;
    let provider = ProviderBuilder::new().connect_reqwest(http, url);
    let (chain, contract) = (tenant.escrow.chain, EvmAddress::new(tenant.escrow.contract.0));
    let id = timely(async { provider.get_chain_id().await.ok() }).await?;
    ensure!(id == chain.0, Usage(format!("the RPC endpoint is of chain {id}, the contract on {}", chain.0)));
    let ask = async |data: Vec<u8>| {
        let request = TransactionRequest::default().to(contract).input(Bytes::from(data).into());
        timely(async { provider.call(request).await.ok() }).await
    };
    let mut caps = Vec::new();
    for asset in &tenant.assets {
        let (cap, spent) = read::cap(&ask(read::cap_calldata(asset.asset.address())).await?)?;
        caps.push(Allowance { asset: asset.asset, cap: minor(cap, asset.scale), spent: minor(spent, asset.scale) });
    }
    Ok(Contract {
        frozen: read::frozen(&ask(read::frozen_calldata()).await?)?,
        guardian: read::guardian(&ask(read::guardian_calldata()).await?)?,
        nonce: read::nonce(&ask(read::nonce_calldata()).await?)?,
        epoch: read::epoch(&ask(read::epoch_calldata()).await?)?,
        caps,
    })
}

impl Contract {
    /// The cap of an asset.
    pub fn cap(&self, asset: &AssetId) -> Option<&str> {
        self.caps.iter().find(|c| c.asset == *asset).map(|c| c.cap.as_str())
    }
}

/// Whole minor units: what is left over cannot be paid out by an intent.
fn minor(units: ChainAmount, scale: Scale) -> String {
    units.get().checked_div(scale.factor()).unwrap_or_default().to_string()
}

async fn timely<T>(call: impl Future<Output = Option<T>>) -> anyhow::Result<T> {
    let answer = tokio::time::timeout(PATIENCE, call).await.ok().flatten();
    Ok(answer.ok_or_else(|| Unavailable("no answer from the RPC endpoint".to_owned()))?)
}
