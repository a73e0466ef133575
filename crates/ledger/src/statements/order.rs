use crate::{
    Changes, Order, Outcome, Refusal, Royalty, State, Tenant,
    statement::{Context, ParseError, Realm, Rule},
};
use domain::{AccountId, Amount, AssetId, FULL_BPS, MAX_SPLITS, OrderId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Args of `/order/open`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Open {
    /// The marketplace's id of the order.
    pub order: OrderId,
    /// Who paid.
    pub buyer: AccountId,
    /// What lies in escrow.
    pub asset: AssetId,
    /// How much, in minor units.
    pub amount: Amount,
    /// Who must get at least which share of every payout.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub royalties: Vec<Royalty>,
}

/// Args of `/order/close`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Close {
    /// The order.
    pub order: OrderId,
}

impl Rule for Open {
    const REALM: Realm = Realm::Tenant;

    fn check(&self) -> Result<(), ParseError> {
        if self.royalties.len() > MAX_SPLITS {
            return Err(ParseError::args("royalties", "at most 16"));
        }
        let distinct: BTreeSet<_> = self.royalties.iter().map(|r| r.recipient).collect();
        if distinct.len() != self.royalties.len() {
            return Err(ParseError::args("royalties", "a recipient appears twice"));
        }
        let sum = self.royalties.iter().fold(0_u32, |s, r| s.saturating_add(r.bps.get().into()));
        if sum > u32::from(FULL_BPS) {
            return Err(ParseError::args("royalties", format!("shares sum to {sum} basis points, more than 10000")));
        }
        Ok(())
    }

    fn run(&self, state: &mut State, cx: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
        let open = |t: &mut Tenant| {
            if !t.assets.contains_key(&self.asset) {
                return Err(Refusal::Unknown { field: "asset", what: "asset in the tenant's asset table" });
            }
            if t.orders.contains_key(&self.order) {
                return Err(Refusal::conflict("order", "this order exists"));
            }
            let order = Order {
                buyer: self.buyer,
                asset: self.asset,
                amount: self.amount,
                royalties: self.royalties.clone(),
                open: true,
            };
            t.orders.insert(self.order.clone(), order);
            Ok(Outcome::Accepted)
        };
        state.with_tenant(cx.subject, open).unwrap_or(Err(Refusal::Subject { expected: "a tenant of this log" }))
    }
}

impl Rule for Close {
    const REALM: Realm = Realm::Tenant;

    fn run(&self, state: &mut State, cx: &Context<'_>, _: &mut Changes) -> Result<Outcome, Refusal> {
        let close = |t: &mut Tenant| match t.orders.get_mut(&self.order) {
            None => Err(Refusal::Unknown { field: "order", what: "order" }),
            Some(order) if !order.open => Err(Refusal::conflict("order", "it is closed already")),
            Some(order) => {
                order.open = false;
                Ok(Outcome::Accepted)
            }
        };
        state.with_tenant(cx.subject, close).unwrap_or(Err(Refusal::Subject { expected: "a tenant of this log" }))
    }
}
