use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::{Value, json};
use ucan::Ipld;

/// Data as DAG-JSON shows it: links and bytes under the reserved key `/`. Integers keep every digit.
pub(crate) fn of(data: &Ipld) -> Value {
    match data {
        Ipld::Null => Value::Null,
        Ipld::Bool(b) => Value::Bool(*b),
        Ipld::Integer(n) => i64::try_from(*n)
            .map(Value::from)
            .or_else(|_| u64::try_from(*n).map(Value::from))
            .unwrap_or_else(|_| json!(n.to_string())),
        Ipld::Float(f) => json!(f),
        Ipld::String(s) => Value::String(s.clone()),
        Ipld::Bytes(b) => json!({"/": {"bytes": STANDARD_NO_PAD.encode(b)}}),
        Ipld::List(items) => items.iter().map(of).collect(),
        Ipld::Map(map) => Value::Object(map.iter().map(|(k, v)| (k.clone(), of(v))).collect()),
        Ipld::Link(cid) => json!({"/": cid.to_string()}),
    }
}
