//! What policy is asked: the facts around one payout, gathered from the state alone.

use crate::{
    Installation, InstallationState, Order, State, Tenant, Verification, Window, budget::Budget, freeze::Target,
};
use domain::{Did, Payout, Time, largest_remainder};

/// Everything about a payout that its decision depends on.
pub(crate) struct Facts {
    pub input: policy::Input,
    pub parts: Vec<u64>,
    pub daily: Window,
    pub order: Window,
}

pub(crate) const PAYOUT_COMMAND: &str = "/proposal/payout";

impl State {
    pub(crate) fn target<'a>(&self, tenant: Did, did: Did, installation: &'a Installation) -> Target<'a> {
        Target {
            operator: self.operator(),
            tenant,
            plugin: &installation.plugin,
            installation: did,
            action: PAYOUT_COMMAND,
        }
    }

    pub(crate) fn payout_facts(
        &self,
        (tenant_did, tenant): (Did, &Tenant),
        (did, installation): (Did, &Installation),
        payout: &Payout,
        (now, expires_at): (Time, Time),
    ) -> Facts {
        let target = self.target(tenant_did, did, installation);
        let daily = Window::Daily { installation: did, asset: payout.asset, day: now.day() };
        let order = Window::Order { order: payout.order.clone() };
        let shares: Vec<_> = payout.splits.iter().map(|s| s.bps).collect();
        // Shares that do not sum are refused with the args; here an empty division makes policy say so again.
        let parts = largest_remainder(payout.total.get(), &shares).unwrap_or_default();
        let budget = tenant.budgets.get(&daily);
        let order_budget = tenant.budgets.get(&order);
        let input = policy::Input {
            action: policy::Action::Payout,
            asset: tenant.assets.get(&payout.asset).map(|a| policy::Asset {
                decimals: a.decimals,
                id: a.asset,
                symbol: a.symbol.clone(),
            }),
            budget: policy::Budget { reserved: budget.reserved.get(), spent: budget.spent.get() },
            // Whatever is frozen shows at the tenant, the plugin or the installation.
            frozen: false,
            installation: installation_facts(did, installation, self.freezes().covers_installation(&target)),
            limits: installation
                .limits
                .get(&payout.asset)
                .map(|l| policy::Limits { daily_total: l.daily_total.get(), max_per_payout: l.max_per_payout.get() }),
            line_items: payout
                .line_items
                .iter()
                .map(|i| policy::LineItem { amount: i.amount.get(), description: i.description.clone() })
                .collect(),
            now,
            order: tenant.orders.get(&payout.order).map(|o| order_facts(payout, o, order_budget)),
            plugin: policy::Plugin {
                frozen: self.freezes().covers_plugin(&target),
                id: installation.plugin.clone(),
                // No statement ends a version.
                state: policy::PluginState::Active,
                version: installation.version.clone(),
            },
            proposal: policy::Proposal {
                asset: payout.asset,
                order: payout.order.clone(),
                valid_until: payout.valid_until,
            },
            recipients: payout
                .splits
                .iter()
                .filter_map(|s| Some((s.recipient, tenant.recipients.get(&s.recipient)?)))
                // What was said by a right that has been revoked since is not known any more.
                .filter(|(_, v)| !self.is_revoked(tenant_did, &v.authority))
                .map(|(account, v)| (account, recipient_facts(v)))
                .collect(),
            splits: payout
                .splits
                .iter()
                .zip(parts.iter())
                .map(|(s, amount)| policy::Split { amount: *amount, bps: s.bps, recipient: s.recipient })
                .collect(),
            tenant: policy::Tenant { frozen: self.freezes().covers_tenant(&target), id: tenant_did },
            token: policy::Token { expires_at, lifetime_left: expires_at.since(now) },
            total: payout.total.get(),
        };
        Facts { input, parts, daily, order }
    }
}

fn installation_facts(did: Did, installation: &Installation, frozen: bool) -> policy::Installation {
    policy::Installation {
        capabilities: installation.capabilities.iter().cloned().collect(),
        expires_at: installation.expires_at,
        frozen,
        granted_at: installation.granted_at,
        id: did,
        state: match installation.state {
            InstallationState::Active => policy::InstallationState::Active,
            InstallationState::Suspended => policy::InstallationState::Suspended,
            InstallationState::Removed => policy::InstallationState::Removed,
        },
    }
}

fn order_facts(payout: &Payout, order: &Order, budget: Budget) -> policy::Order {
    policy::Order {
        amount: order.amount.get(),
        asset: order.asset,
        available: order.amount.get().saturating_sub(budget.used()),
        id: payout.order.clone(),
        royalties: order.royalties.iter().map(|r| policy::Royalty { bps: r.bps, recipient: r.recipient }).collect(),
        state: if order.open { policy::OrderState::Open } else { policy::OrderState::Closed },
    }
}

const fn recipient_facts(v: &Verification) -> policy::Recipient {
    policy::Recipient {
        kyc_level: v.kyc_level,
        provider: v.authority.principal,
        sanctioned: v.sanctioned,
        valid_until: v.valid_until,
    }
}
