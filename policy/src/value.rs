//! Builds the engine's value of an input straight from its fields, without JSON text in between.

#[cfg(test)]
mod tests;

use crate::input::{
    Action, Asset, Input, Installation, InstallationState, LineItem, Order, OrderState, Plugin, PluginState, Recipient,
    Royalty, Split,
};
use domain::{AccountId, Time};
use regorus::Value;
use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::LazyLock,
};

/// The longest CAIP-19 asset: `eip155:`, 20 digits, `/erc20:` and an address. No other text is longer.
const MAX_TEXT_BYTES: usize = 7 + 20 + 7 + 42;

/// One kind of object: its keys in their order, and the object that has them with nothing in it. Both are made once: a
/// decision would otherwise allocate each key, some seventy, and sort them anew for each object.
struct Shape<const N: usize> {
    keys: [Value; N],
    empty: Value,
}

type Kind<const N: usize> = LazyLock<Shape<N>>;

fn kind<const N: usize>(names: [&str; N]) -> Shape<N> {
    let keys = names.map(Value::from);
    let empty = keys.iter().map(|key| (key.clone(), Value::Null)).collect::<BTreeMap<_, _>>().into();
    Shape { keys, empty }
}

fn object<const N: usize>(shape: &Shape<N>, values: [Value; N]) -> Value {
    shape.empty.as_object().map_or(Value::Undefined, |empty| {
        let mut fields = empty.clone();
        for (key, value) in shape.keys.iter().zip(values) {
            if let Some(field) = fields.get_mut(key) {
                *field = value;
            }
        }
        fields.into()
    })
}

static ASSET: Kind<3> = LazyLock::new(|| kind(["decimals", "id", "symbol"]));
static BUDGET: Kind<2> = LazyLock::new(|| kind(["reserved", "spent"]));
static INPUT: Kind<16> = LazyLock::new(|| {
    kind([
        "action",
        "asset",
        "budget",
        "frozen",
        "installation",
        "limits",
        "line_items",
        "now",
        "order",
        "plugin",
        "proposal",
        "recipients",
        "splits",
        "tenant",
        "token",
        "total",
    ])
});
static INSTALLATION: Kind<6> =
    LazyLock::new(|| kind(["capabilities", "expires_at", "frozen", "granted_at", "id", "state"]));
static LIMITS: Kind<2> = LazyLock::new(|| kind(["daily_total", "max_per_payout"]));
static LINE_ITEM: Kind<2> = LazyLock::new(|| kind(["amount", "description"]));
static ORDER: Kind<6> = LazyLock::new(|| kind(["amount", "asset", "available", "id", "royalties", "state"]));
static PLUGIN: Kind<4> = LazyLock::new(|| kind(["frozen", "id", "state", "version"]));
static PROPOSAL: Kind<3> = LazyLock::new(|| kind(["asset", "order", "valid_until"]));
static RECIPIENT: Kind<4> = LazyLock::new(|| kind(["kyc_level", "provider", "sanctioned", "valid_until"]));
static ROYALTY: Kind<2> = LazyLock::new(|| kind(["bps", "recipient"]));
static SPLIT: Kind<3> = LazyLock::new(|| kind(["amount", "bps", "recipient"]));
static TENANT: Kind<2> = LazyLock::new(|| kind(["frozen", "id"]));
static TOKEN: Kind<2> = LazyLock::new(|| kind(["expires_at", "lifetime_left"]));

fn list<T>(items: &[T], value: fn(&T) -> Value) -> Value {
    Value::from(items.iter().map(value).collect::<Vec<_>>())
}

fn text(item: &impl fmt::Display) -> Value {
    let mut text = String::with_capacity(MAX_TEXT_BYTES);
    let _ = write!(text, "{item}");
    Value::from(text)
}

fn time(moment: Time) -> Value {
    Value::from(moment.unix())
}

fn or_null<T>(item: Option<&T>, value: fn(&T) -> Value) -> Value {
    item.map_or(Value::Null, value)
}

fn asset(asset: &Asset) -> Value {
    object(&ASSET, [Value::from(u64::from(asset.decimals)), text(&asset.id), Value::from(asset.symbol.as_str())])
}

fn installation(installation: &Installation) -> Value {
    let state = match installation.state {
        InstallationState::Active => "active",
        InstallationState::Suspended => "suspended",
        InstallationState::Removed => "removed",
    };
    let capabilities: Vec<Value> = installation.capabilities.iter().map(|c| Value::from(c.as_str())).collect();
    object(
        &INSTALLATION,
        [
            Value::from(capabilities),
            time(installation.expires_at),
            Value::from(installation.frozen),
            time(installation.granted_at),
            Value::from(installation.id.as_str()),
            Value::from(state),
        ],
    )
}

fn line_item(item: &LineItem) -> Value {
    object(&LINE_ITEM, [Value::from(item.amount), Value::from(item.description.as_str())])
}

fn order(order: &Order) -> Value {
    let state = match order.state {
        OrderState::Open => "open",
        OrderState::Closed => "closed",
    };
    object(
        &ORDER,
        [
            Value::from(order.amount),
            text(&order.asset),
            Value::from(order.available),
            Value::from(order.id.as_str()),
            list(&order.royalties, royalty),
            Value::from(state),
        ],
    )
}

fn plugin(plugin: &Plugin) -> Value {
    let state = match plugin.state {
        PluginState::Active => "active",
        PluginState::Suspended => "suspended",
        PluginState::Withdrawn => "withdrawn",
    };
    object(
        &PLUGIN,
        [
            Value::from(plugin.frozen),
            Value::from(plugin.id.as_str()),
            Value::from(state),
            Value::from(plugin.version.as_str()),
        ],
    )
}

fn recipient((account, fact): (&AccountId, &Recipient)) -> (Value, Value) {
    let fact = object(
        &RECIPIENT,
        [
            Value::from(u64::from(fact.kyc_level)),
            Value::from(fact.provider.as_str()),
            Value::from(fact.sanctioned),
            time(fact.valid_until),
        ],
    );
    (text(account), fact)
}

fn royalty(royalty: &Royalty) -> Value {
    object(&ROYALTY, [Value::from(u64::from(royalty.bps.get())), text(&royalty.recipient)])
}

fn split(split: &Split) -> Value {
    object(&SPLIT, [Value::from(split.amount), Value::from(u64::from(split.bps.get())), text(&split.recipient)])
}

/// The engine's value of `input`; equal to what parsing [`Input::canonical_json`] gives.
pub(crate) fn of(input: &Input) -> Value {
    let Action::Payout = input.action;
    let limits = or_null(input.limits.as_ref(), |limits| {
        object(&LIMITS, [Value::from(limits.daily_total), Value::from(limits.max_per_payout)])
    });
    let proposal = object(
        &PROPOSAL,
        [text(&input.proposal.asset), Value::from(input.proposal.order.as_str()), time(input.proposal.valid_until)],
    );
    object(
        &INPUT,
        [
            Value::from("payout"),
            or_null(input.asset.as_ref(), asset),
            object(&BUDGET, [Value::from(input.budget.reserved), Value::from(input.budget.spent)]),
            Value::from(input.frozen),
            installation(&input.installation),
            limits,
            list(&input.line_items, line_item),
            time(input.now),
            or_null(input.order.as_ref(), order),
            plugin(&input.plugin),
            proposal,
            Value::from(input.recipients.iter().map(recipient).collect::<BTreeMap<_, _>>()),
            list(&input.splits, split),
            object(&TENANT, [Value::from(input.tenant.frozen), Value::from(input.tenant.id.as_str())]),
            object(&TOKEN, [time(input.token.expires_at), Value::from(input.token.lifetime_left)]),
            Value::from(input.total),
        ],
    )
}
