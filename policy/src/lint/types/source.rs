//! What is known before any rule is read: the input by its schema, the data by themselves.

use super::shape::{Kinds, Object, Type};
use crate::Input;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// The schema nests at most this deep; the rest is not known.
const MAX_DEPTH: usize = 16;

/// The input, as [`Input::schema_json`] describes it.
pub(super) static INPUT: LazyLock<Type> = LazyLock::new(|| {
    let schema: Value = serde_json::from_str(&Input::schema_json()).unwrap_or_default();
    described(&schema, &schema, 0)
});

/// What a schema allows. A keyword that is not known allows everything, so that nothing is refused by mistake.
fn described(schema: &Value, root: &Value, depth: usize) -> Type {
    let Some(keywords) = schema.as_object().filter(|_| depth < MAX_DEPTH) else { return Type::any() };
    let inner = |schema: &Value| described(schema, root, depth.saturating_add(1));
    if let Some(name) = keywords.get("$ref").and_then(Value::as_str) {
        return name.strip_prefix('#').and_then(|path| root.pointer(path)).map_or_else(Type::any, inner);
    }
    if let Some(choices) = keywords.get("anyOf").or_else(|| keywords.get("oneOf")).and_then(Value::as_array) {
        let mut all = Type::default();
        for choice in choices {
            all.join(&inner(choice));
        }
        return all;
    }
    if let Some(word) = keywords.get("const").and_then(Value::as_str) {
        return Type::listed([word.to_owned()]);
    }
    if let Some(words) = keywords.get("enum").and_then(Value::as_array) {
        let texts: Option<Vec<String>> = words.iter().map(|word| word.as_str().map(str::to_owned)).collect();
        return texts.map_or_else(Type::any, Type::listed);
    }
    let one = |kind: &str| match kind {
        "boolean" => Type::plain(Kinds::BOOLEAN),
        "integer" | "number" => Type::plain(Kinds::NUMBER),
        "null" => Type::plain(Kinds::NULL),
        "string" => Type::plain(Kinds::TEXT),
        "array" => Type::list(keywords.get("items").map_or_else(Type::any, inner)),
        "object" => object(keywords, inner),
        _ => Type::any(),
    };
    match keywords.get("type") {
        Some(Value::String(kind)) => one(kind),
        Some(Value::Array(kinds)) => {
            let mut all = Type::default();
            for kind in kinds {
                all.join(&kind.as_str().map_or_else(Type::any, one));
            }
            all
        }
        _ => Type::any(),
    }
}

fn object(keywords: &Map<String, Value>, inner: impl Fn(&Value) -> Type) -> Type {
    let properties = keywords.get("properties").and_then(Value::as_object);
    let fields = properties.into_iter().flatten().map(|(name, schema)| (name.clone(), inner(schema))).collect();
    let value = match keywords.get("additionalProperties") {
        Some(Value::Bool(false)) => None,
        Some(schema @ Value::Object(_)) => Some(inner(schema)),
        _ => Some(Type::any()),
    };
    Type::object(Object { fields, rest: value.map(|value| (Type::plain(Kinds::TEXT), value)) })
}

/// What a data document is. Texts are any text: a setting may have other values than the rules ask for.
pub(super) fn of(value: &Value) -> Type {
    match value {
        Value::Null => Type::plain(Kinds::NULL),
        Value::Bool(_) => Type::plain(Kinds::BOOLEAN),
        Value::Number(_) => Type::plain(Kinds::NUMBER),
        Value::String(_) => Type::plain(Kinds::TEXT),
        Value::Array(items) => {
            let mut item = Type::default();
            for value in items {
                item.join(&of(value));
            }
            Type::list(item)
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), of(value))).collect();
            Type::object(Object { fields, rest: None })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

    use super::{INPUT, Kinds, Type};
    use crate::{probe, value};
    use regorus::Value;

    /// Holds a value of the engine to a type: its kind, every field of it, and no field of the type missing.
    fn hold(path: &str, value: &Value, known: &Type) {
        let kind = match value {
            Value::Null => Kinds::NULL,
            Value::Bool(_) => Kinds::BOOLEAN,
            Value::Number(_) => Kinds::NUMBER,
            Value::String(_) => Kinds::TEXT,
            Value::Array(_) => Kinds::LIST,
            Value::Object(_) => Kinds::OBJECT,
            other => panic!("{path}: {other:?}"),
        };
        assert!(known.is_known() && known.kinds().meets(kind), "{path} is {kind}, the schema says {}", known.kinds());
        match value {
            Value::String(text) => {
                let listed = known.known_words().is_none_or(|words| words.contains(text.as_ref()));
                assert!(listed, "{path}: {text}");
            }
            Value::Array(items) => items.iter().for_each(|item| hold(&format!("{path}[]"), item, &known.item())),
            Value::Object(fields) => {
                for (key, value) in fields.iter() {
                    let key = key.as_string().unwrap();
                    let field = known.field(key).unwrap_or_else(|| panic!("{path}.{key} is not in the schema"));
                    hold(&format!("{path}.{key}"), value, &field);
                }
                let names = known.fields().unwrap().keys();
                let missing: Vec<_> = names.filter(|name| !fields.contains_key(&Value::from(name.as_str()))).collect();
                assert!(missing.is_empty(), "{path} has no {missing:?}, the schema has");
            }
            _ => {}
        }
    }

    #[test]
    fn what_rules_are_held_to_is_what_they_are_given() {
        for (name, input) in probe::all() {
            hold(name, &value::of(&input), &INPUT);
        }
    }
}
