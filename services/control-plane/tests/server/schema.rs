//! A JSON Schema validator for what the document uses. A keyword that it does not know fails, so that none goes unchecked.

use regex::Regex;
use serde_json::Value;

/// Says what of says nothing about values.
const ANNOTATIONS: [&str; 7] = ["title", "description", "default", "format", "contentEncoding", "$comment", "examples"];

/// What is wrong with `value` under `schema` of `document`; empty when nothing is.
pub fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(document, schema, value, "", &mut faults);
    faults
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        other => panic!("type {other}"),
    }
}

fn fits(document: &Value, schema: &Value, value: &Value) -> bool {
    faults(document, schema, value).is_empty()
}

fn check(document: &Value, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let rules = match schema {
        Value::Bool(true) => return,
        Value::Object(rules) => rules,
        other => panic!("a schema is an object, not {other}"),
    };
    let number = |n: &Value| n.as_f64().unwrap();
    let length = |text: &Value| u64::try_from(text.as_str().unwrap_or_default().chars().count()).unwrap();
    let items = |list: &Value| u64::try_from(list.as_array().map_or(0, Vec::len)).unwrap();
    for (keyword, rule) in rules {
        let ok = match keyword.as_str() {
            "$ref" => {
                let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                let target = document.pointer(pointer).unwrap_or_else(|| panic!("{rule} leads nowhere"));
                check(document, target, value, at, faults);
                true
            }
            "type" => match rule {
                Value::String(name) => is_a(value, name),
                names => names.as_array().unwrap().iter().any(|n| is_a(value, n.as_str().unwrap())),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "const" => rule == value,
            "pattern" => value.as_str().is_none_or(|text| Regex::new(rule.as_str().unwrap()).unwrap().is_match(text)),
            "minimum" => value.as_f64().is_none_or(|n| n >= number(rule)),
            "maximum" => value.as_f64().is_none_or(|n| n <= number(rule)),
            "minLength" => !value.is_string() || length(value) >= rule.as_u64().unwrap(),
            "maxLength" => !value.is_string() || length(value) <= rule.as_u64().unwrap(),
            "minItems" => !value.is_array() || items(value) >= rule.as_u64().unwrap(),
            "maxItems" => !value.is_array() || items(value) <= rule.as_u64().unwrap(),
            "anyOf" => rule.as_array().unwrap().iter().any(|s| fits(document, s, value)),
            "oneOf" => rule.as_array().unwrap().iter().filter(|s| fits(document, s, value)).count() == 1,
            "required" => {
                let missing = |name: &&Value| value.is_object() && value.get(name.as_str().unwrap()).is_none();
                !rule.as_array().unwrap().iter().any(|name| missing(&name))
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(document, rule, item, &format!("{at}[{i}]"), faults);
                }
                true
            }
            "properties" => {
                for (name, schema) in rule.as_object().unwrap() {
                    if let Some(field) = value.get(name) {
                        check(document, schema, field, &format!("{at}.{name}"), faults);
                    }
                }
                true
            }
            "additionalProperties" => {
                assert_eq!(rule, false, "only closed objects are described");
                let described = |name: &String| rules.get("properties").and_then(|p| p.get(name)).is_some();
                value.as_object().is_none_or(|fields| fields.keys().all(described))
            }
            annotation => {
                assert!(ANNOTATIONS.contains(&annotation), "the keyword {annotation} is not known here");
                true
            }
        };
        if !ok {
            faults.push(format!("{at}: {value} breaks {keyword} {rule}"));
        }
    }
}
