//! The inputs that every bundle is tried on before it may decide.

use crate::{
    Action, Asset, Budget, Input, Installation, InstallationState, Limits, LineItem, Order, OrderState, Plugin,
    PluginState, Proposal, Recipient, Royalty, Split, Tenant, Token,
};
use domain::{
    AccountId, Address, AssetId, AssetKind, Bps, ChainId, Did, MAX_LINE_ITEMS, MAX_SPLITS, ParseNameError, Time,
};
use std::collections::{BTreeMap, BTreeSet};

const NOW: u64 = 1_800_000_000;
const DAY: u64 = 86_400;

/// Every probe with its name.
pub(crate) fn all() -> Vec<(&'static str, Input)> {
    let named = [("ordinary", ordinary()), ("bare", bare()), ("widest", widest())];
    named.into_iter().filter_map(|(name, input)| input.ok().map(|input| (name, input))).collect()
}

fn account(n: u8) -> AccountId {
    AccountId { chain: ChainId(1), address: Address([n; 20]) }
}

/// A payout of 100 USDC from an order of 250 to two verified recipients, one of them owed a royalty.
pub fn ordinary() -> Result<Input, ParseNameError> {
    let now = Time::from_unix(NOW);
    let usdc = AssetId { chain: ChainId(1), kind: AssetKind::Erc20(Address([0xa0; 20])) };
    let fact = Recipient {
        kyc_level: 2,
        provider: Did::from_key([4; 32]),
        sanctioned: false,
        valid_until: now.plus(DAY.saturating_mul(365)),
    };
    let share = |n: u16| Bps::try_from(n).ok();
    let splits = [(1, share(9_500), 95_000_000), (2, share(500), 5_000_000)];
    let royalty = share(500).map(|bps| Royalty { bps, recipient: account(2) });
    Ok(Input {
        action: Action::Payout,
        asset: Some(Asset { decimals: 6, id: usdc, symbol: "USDC".parse()? }),
        budget: Budget { reserved: 50_000_000, spent: 200_000_000 },
        frozen: false,
        installation: Installation {
            capabilities: BTreeSet::from(["/proposal/payout".to_owned()]),
            expires_at: now.plus(DAY.saturating_mul(90)),
            frozen: false,
            granted_at: now.minus(DAY),
            id: Did::from_key([3; 32]),
            state: InstallationState::Active,
        },
        limits: Some(Limits { daily_total: 5_000_000_000, max_per_payout: 2_000_000_000 }),
        line_items: vec![LineItem { amount: 100_000_000, description: "Licence".parse()? }],
        now,
        order: Some(Order {
            amount: 250_000_000,
            asset: usdc,
            available: 250_000_000,
            id: "order-1".parse()?,
            royalties: royalty.into_iter().collect(),
            state: OrderState::Open,
        }),
        plugin: Plugin {
            frozen: false,
            id: "com.example.payouts".parse()?,
            state: PluginState::Active,
            version: "1.4.0".parse()?,
        },
        proposal: Proposal { asset: usdc, order: "order-1".parse()?, valid_until: now.plus(DAY) },
        recipients: BTreeMap::from([(account(1), fact.clone()), (account(2), fact)]),
        splits: splits
            .into_iter()
            .filter_map(|(n, bps, amount)| Some(Split { amount, bps: bps?, recipient: account(n) }))
            .collect(),
        tenant: Tenant { frozen: false, id: Did::from_key([1; 32]) },
        token: Token { expires_at: now.plus(600), lifetime_left: 600 },
        total: 100_000_000,
    })
}

/// A payout of which nothing is known: no asset, order, limits, recipients, splits or line items.
pub fn bare() -> Result<Input, ParseNameError> {
    Ok(Input {
        asset: None,
        budget: Budget::default(),
        limits: None,
        line_items: Vec::new(),
        order: None,
        recipients: BTreeMap::new(),
        splits: Vec::new(),
        ..ordinary()?
    })
}

/// A payout as wide as the system lets one be, with every number at its largest and everything wrong at once.
pub fn widest() -> Result<Input, ParseNameError> {
    let ordinary = ordinary()?;
    let widest = u8::try_from(MAX_SPLITS).unwrap_or(u8::MAX);
    let mut recipients = BTreeMap::new();
    let mut splits = Vec::new();
    let mut royalties = Vec::new();
    let one = Bps::try_from(1).ok();
    let full = Bps::try_from(domain::FULL_BPS).ok();
    for n in 0..widest {
        let fact =
            Recipient { kyc_level: 0, provider: Did::from_key([4; 32]), sanctioned: true, valid_until: Time::ZERO };
        // One recipient twice and one that nobody knows, so that those rules run to their ends as well.
        let recipient = account(n.max(1));
        if n > 2 {
            recipients.insert(recipient, fact);
        }
        splits.extend(one.map(|bps| Split { amount: u64::MAX, bps, recipient }));
        royalties.extend(full.map(|bps| Royalty { bps, recipient }));
    }
    let mut line_items = Vec::new();
    for n in 0..MAX_LINE_ITEMS {
        line_items.push(LineItem { amount: u64::MAX, description: format!("{n:0>100}").parse()? });
    }
    let order = ordinary.order.map(|order| Order {
        asset: AssetId { chain: ChainId(u64::MAX), kind: AssetKind::Native },
        available: 0,
        royalties,
        state: OrderState::Closed,
        ..order
    });
    Ok(Input {
        asset: None,
        budget: Budget { reserved: u64::MAX, spent: u64::MAX },
        frozen: true,
        installation: Installation {
            capabilities: BTreeSet::new(),
            expires_at: Time::ZERO,
            frozen: true,
            state: InstallationState::Removed,
            ..ordinary.installation
        },
        limits: Some(Limits { daily_total: 0, max_per_payout: 0 }),
        line_items,
        order,
        plugin: Plugin { frozen: true, state: PluginState::Withdrawn, ..ordinary.plugin },
        proposal: Proposal { valid_until: Time::from_unix(u64::MAX), ..ordinary.proposal },
        recipients,
        splits,
        tenant: Tenant { frozen: true, ..ordinary.tenant },
        token: Token { expires_at: Time::ZERO, lifetime_left: u64::MAX },
        total: u64::MAX,
        ..ordinary
    })
}
