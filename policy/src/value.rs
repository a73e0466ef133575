//! Builds the engine's value of an input straight from its fields, without JSON text in between.

use crate::input::{
    Action, Asset, Input, Installation, InstallationState, LineItem, Order, OrderState, Plugin, PluginState, Recipient,
    Royalty, Split,
};
use domain::{AccountId, Time};
use regorus::Value;
use std::collections::BTreeMap;

fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::from(fields.into_iter().map(|(key, value)| (Value::from(key), value)).collect::<BTreeMap<_, _>>())
}

fn list<T>(items: &[T], value: fn(&T) -> Value) -> Value {
    Value::from(items.iter().map(value).collect::<Vec<_>>())
}

fn text(item: &impl ToString) -> Value {
    Value::from(item.to_string())
}

fn time(moment: Time) -> Value {
    Value::from(moment.unix())
}

fn or_null<T>(item: Option<&T>, value: fn(&T) -> Value) -> Value {
    item.map_or(Value::Null, value)
}

fn asset(asset: &Asset) -> Value {
    object([
        ("decimals", Value::from(u64::from(asset.decimals))),
        ("id", text(&asset.id)),
        ("symbol", Value::from(asset.symbol.as_str())),
    ])
}

fn installation(installation: &Installation) -> Value {
    let state = match installation.state {
        InstallationState::Active => "active",
        InstallationState::Suspended => "suspended",
        InstallationState::Removed => "removed",
    };
    let capabilities: Vec<Value> = installation.capabilities.iter().map(|c| Value::from(c.as_str())).collect();
    object([
        ("capabilities", Value::from(capabilities)),
        ("expires_at", time(installation.expires_at)),
        ("frozen", Value::from(installation.frozen)),
        ("granted_at", time(installation.granted_at)),
        ("id", text(&installation.id)),
        ("state", Value::from(state)),
    ])
}

fn line_item(item: &LineItem) -> Value {
    object([("amount", Value::from(item.amount)), ("description", Value::from(item.description.as_str()))])
}

fn order(order: &Order) -> Value {
    let state = match order.state {
        OrderState::Open => "open",
        OrderState::Closed => "closed",
    };
    object([
        ("amount", Value::from(order.amount)),
        ("asset", text(&order.asset)),
        ("available", Value::from(order.available)),
        ("id", Value::from(order.id.as_str())),
        ("royalties", list(&order.royalties, royalty)),
        ("state", Value::from(state)),
    ])
}

fn plugin(plugin: &Plugin) -> Value {
    let state = match plugin.state {
        PluginState::Active => "active",
        PluginState::Suspended => "suspended",
        PluginState::Withdrawn => "withdrawn",
    };
    object([
        ("frozen", Value::from(plugin.frozen)),
        ("id", Value::from(plugin.id.as_str())),
        ("state", Value::from(state)),
        ("version", Value::from(plugin.version.as_str())),
    ])
}

fn recipient((account, fact): (&AccountId, &Recipient)) -> (Value, Value) {
    let fact = object([
        ("kyc_level", Value::from(u64::from(fact.kyc_level))),
        ("provider", text(&fact.provider)),
        ("sanctioned", Value::from(fact.sanctioned)),
        ("valid_until", time(fact.valid_until)),
    ]);
    (text(account), fact)
}

fn royalty(royalty: &Royalty) -> Value {
    object([("bps", Value::from(u64::from(royalty.bps.get()))), ("recipient", text(&royalty.recipient))])
}

fn split(split: &Split) -> Value {
    object([
        ("amount", Value::from(split.amount)),
        ("bps", Value::from(u64::from(split.bps.get()))),
        ("recipient", text(&split.recipient)),
    ])
}

/// The engine's value of `input`; equal to what parsing [`Input::canonical_json`] gives.
pub(crate) fn of(input: &Input) -> Value {
    let Action::Payout = input.action;
    let limits = or_null(input.limits.as_ref(), |limits| {
        object([
            ("daily_total", Value::from(limits.daily_total)),
            ("max_per_payout", Value::from(limits.max_per_payout)),
        ])
    });
    let proposal = object([
        ("asset", text(&input.proposal.asset)),
        ("order", Value::from(input.proposal.order.as_str())),
        ("valid_until", time(input.proposal.valid_until)),
    ]);
    object([
        ("action", Value::from("payout")),
        ("asset", or_null(input.asset.as_ref(), asset)),
        (
            "budget",
            object([("reserved", Value::from(input.budget.reserved)), ("spent", Value::from(input.budget.spent))]),
        ),
        ("frozen", Value::from(input.frozen)),
        ("installation", installation(&input.installation)),
        ("limits", limits),
        ("line_items", list(&input.line_items, line_item)),
        ("now", time(input.now)),
        ("order", or_null(input.order.as_ref(), order)),
        ("plugin", plugin(&input.plugin)),
        ("proposal", proposal),
        ("recipients", Value::from(input.recipients.iter().map(recipient).collect::<BTreeMap<_, _>>())),
        ("splits", list(&input.splits, split)),
        ("tenant", object([("frozen", Value::from(input.tenant.frozen)), ("id", text(&input.tenant.id))])),
        (
            "token",
            object([
                ("expires_at", time(input.token.expires_at)),
                ("lifetime_left", Value::from(input.token.lifetime_left)),
            ]),
        ),
        ("total", Value::from(input.total)),
    ])
}
