//! What the chain itself says, by plain JSON-RPC.

use crate::system::System;
use domain::{Address, Digest};
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("0x".to_owned(), |text, b| text + &format!("{b:02x}"))
}

fn bytes(text: &str) -> Vec<u8> {
    let digits = text.trim_start_matches("0x");
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}

impl System {
    async fn rpc(&self, method: &str, params: Value) -> Option<Value> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = self.http.post(self.record.chain.rpc.as_str()).json(&body).send().await.ok()?;
        answer.json::<Value>().await.ok()?.get("result").cloned()
    }

    /// How often each intent has executed.
    pub async fn executions(&self) -> BTreeMap<Digest, u32> {
        let filter = json!([{
            "fromBlock": "0x0",
            "toBlock": "latest",
            "address": hex(&self.record.chain.escrow.0),
            "topics": [hex(&escrow::PAYOUT_EXECUTED_TOPIC)],
        }]);
        let logs = self.rpc("eth_getLogs", filter).await.unwrap_or_default();
        let mut executions = BTreeMap::new();
        for log in logs.as_array().into_iter().flatten() {
            let intent = bytes(log["topics"][1].as_str().unwrap());
            *executions.entry(Digest::from_bytes(intent.try_into().unwrap())).or_default() += 1;
        }
        executions
    }

    /// An account's test dollars, in base units.
    pub async fn balance(&self, account: Address) -> u128 {
        let call = json!([
            { "to": hex(&self.record.chain.token.0), "data": hex(&escrow::token::balance_calldata(account)) },
            "latest",
        ]);
        let returned = self.rpc("eth_call", call).await.unwrap();
        escrow::token::balance(&bytes(returned.as_str().unwrap())).unwrap().get()
    }
}
