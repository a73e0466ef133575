//! A change of an escrow contract as people read it, before they sign it and where it is listed.

use crate::{
    contract::Contract,
    failure::Usage,
    lines::{Lines, quoted},
    utc,
};
use anyhow::ensure;
use domain::{AssetId, Time, Total};
use ledger::{Measure, args::Administer};
use messages::{AssetView, TenantView};

/// Everything that one admin is about to sign, and what the contract says meanwhile.
pub struct Change<'a> {
    pub said: &'a Administer,
    pub tenant: &'a TenantView,
    /// `None` without an RPC endpoint.
    pub contract: Option<&'a Contract>,
    pub now: Time,
}

impl Change<'_> {
    /// Refuses what the contract, as far as it can be asked, would not take now. The quorum would not sign it.
    pub fn check(&self) -> anyhow::Result<()> {
        let Some(contract) = self.contract else { return Ok(()) };
        let (now, wanted) = (contract.nonce, self.said.nonce);
        ensure!(now == wanted, Usage(format!("nothing is signed: the contract's nonce is {now}, not {wanted}")));
        let is_thaw = matches!(self.said.measure, Measure::Thaw { .. });
        ensure!(!is_thaw || contract.frozen, Usage("nothing is signed: the contract is not frozen".to_owned()));
        Ok(())
    }

    /// All of it: what counts most last, directly above the question.
    pub fn lines(&self) -> anyhow::Result<Lines> {
        let escrow = self.tenant.escrow;
        let mut lines = Lines::new("a change of an escrow contract, to be signed now");
        lines.add("reason", quoted(self.said.reason.as_str()));
        lines.add("nonce", self.said.nonce);
        let left = self.said.valid_until.since(self.now);
        lines.add("end", format_args!("{}, {left} seconds from now", utc::text(self.said.valid_until)));
        lines.add("named", quoted(self.tenant.name.as_str()));
        lines.add("tenant", self.said.tenant);
        lines.add(
            "contract",
            format_args!("{} on chain {}, as the control plane says", escrow.contract, escrow.chain.0),
        );
        match self.contract {
            Some(c) => lines.add("now", state(c)),
            None => lines.add("now", "not known: no RPC endpoint is given"),
        }
        match &self.said.measure {
            Measure::Thaw { guardian } => {
                lines.add("change", "lift the contract's freeze");
                match self.contract.map(|c| c.guardian) {
                    Some(old) if old == *guardian => {
                        lines.add("guardian", format_args!("{guardian}, which it has now"));
                    }
                    Some(old) => lines.add("guardian", format_args!("{guardian}; it has {old} now")),
                    None => lines.add("guardian", format_args!("{guardian}; who it is now is not known")),
                }
            }
            Measure::SetCap { asset, cap } => {
                let view = find(self.tenant, asset)?;
                lines.add("change", "the most that is paid out in one UTC day");
                lines.add("asset", asset);
                if let Some(old) = self.contract.and_then(|c| c.cap(asset)) {
                    lines.add("cap now", shown(old, view));
                }
                let (text, units) = (money(*cap, view), cap.to_chain(view.scale).get());
                lines
                    .add("that is", format_args!("{text}, {units} base units on the chain, as the control plane says"));
                if cap.get() == 0 {
                    lines.add("effect", "nothing of it is taken or paid out any more");
                }
                lines.add("new cap", format_args!("{} minor units", cap.get()));
            }
        }
        Ok(lines)
    }
}

/// The contract's state in a line.
pub fn state(contract: &Contract) -> String {
    let frozen = if contract.frozen { "FROZEN" } else { "not frozen" };
    format!("{frozen}, guardian {}, nonce {}, epoch {}", contract.guardian, contract.nonce, contract.epoch)
}

/// A measure in a line; `None` when it is of an asset that the tenant does not have.
pub fn measure(tenant: &TenantView, measure: &Measure) -> Option<String> {
    match measure {
        Measure::Thaw { guardian } => Some(format!("lift the contract's freeze, guardian {guardian}")),
        Measure::SetCap { asset, cap } => {
            let view = find(tenant, asset).ok()?;
            Some(format!("cap of {asset}: {} a day", money(*cap, view)))
        }
    }
}

fn find<'a>(tenant: &'a TenantView, asset: &AssetId) -> anyhow::Result<&'a AssetView> {
    let found = tenant.assets.iter().find(|a| a.asset == *asset);
    Ok(found.ok_or_else(|| Usage(format!("nothing is signed: the tenant does not deal in {asset}")))?)
}

fn money(total: Total, asset: &AssetView) -> String {
    shown(&total.get().to_string(), asset)
}

fn shown(minor: &str, asset: &AssetView) -> String {
    format!("{} {}", decimal(minor, asset.decimals), quoted(asset.symbol.as_str()))
}

/// Minor units with a decimal point before the last digits.
pub fn decimal(minor: &str, decimals: u8) -> String {
    let decimals = usize::from(decimals);
    let padded = format!("{minor:0>width$}", width = decimals.saturating_add(1));
    let (whole, part) = padded.split_at(padded.len().saturating_sub(decimals));
    if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minor_units_are_written_with_all_their_decimals() {
        for (minor, decimals, expected) in [
            ("0", 6, "0.000000"),
            ("1", 6, "0.000001"),
            ("999999", 6, "0.999999"),
            ("1000000", 6, "1.000000"),
            ("5000000000", 6, "5000.000000"),
            ("42", 0, "42"),
            ("42", 2, "0.42"),
            ("9007199254740991", 18, "0.009007199254740991"),
        ] {
            assert_eq!(decimal(minor, decimals), expected);
        }
    }
}
