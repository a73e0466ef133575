use super::shape::{Kinds, Type};
use regorus::unstable::{Expr, Ref};

const NUMBER: Kinds = Kinds::NUMBER;
const TEXT: Kinds = Kinds::TEXT;
const LIST: Kinds = Kinds::LIST;
const OBJECT: Kinds = Kinds::OBJECT;
const ITEMS: Kinds = Kinds::LIST_OR_SET;
const ANY: Kinds = Kinds::ALL;

/// What each parameter of the builtins may be: with anything else the engine ends the body of the rule.
const PARAMETERS: &[(&str, &[Kinds])] = &[
    ("abs", &[NUMBER]),
    ("array.reverse", &[LIST]),
    ("array.slice", &[LIST, NUMBER, NUMBER]),
    ("contains", &[TEXT, TEXT]),
    ("count", &[Kinds::COUNTED]),
    ("endswith", &[TEXT, TEXT]),
    ("indexof", &[TEXT, TEXT]),
    ("is_array", &[ANY]),
    ("is_boolean", &[ANY]),
    ("is_null", &[ANY]),
    ("is_number", &[ANY]),
    ("is_object", &[ANY]),
    ("is_set", &[ANY]),
    ("is_string", &[ANY]),
    ("lower", &[TEXT]),
    ("max", &[ITEMS]),
    ("min", &[ITEMS]),
    ("object.get", &[OBJECT, ANY, ANY]),
    ("object.keys", &[OBJECT]),
    ("sort", &[ITEMS]),
    ("sprintf", &[TEXT, LIST]),
    ("startswith", &[TEXT, TEXT]),
    ("substring", &[TEXT, NUMBER, NUMBER]),
    ("sum", &[ITEMS]),
    ("trim", &[TEXT, TEXT]),
    ("trim_left", &[TEXT, TEXT]),
    ("trim_prefix", &[TEXT, TEXT]),
    ("trim_right", &[TEXT, TEXT]),
    ("trim_space", &[TEXT]),
    ("trim_suffix", &[TEXT, TEXT]),
    ("type_name", &[ANY]),
    ("upper", &[TEXT]),
];

/// What a builtin takes.
pub(super) fn takes(name: &str) -> Option<&'static [Kinds]> {
    PARAMETERS.iter().find(|(known, _)| *known == name).map(|(_, parameters)| *parameters)
}

/// What a builtin gives.
pub(super) fn gives(name: &str, params: &[Ref<Expr>], of: impl Fn(&Expr) -> Type) -> Type {
    let first = || params.first().map(|param| of(param)).unwrap_or_default();
    match name {
        "abs" | "count" | "indexof" | "sum" => Type::plain(NUMBER),
        "contains" | "endswith" | "startswith" => Type::plain(Kinds::BOOLEAN),
        "lower" | "sprintf" | "substring" | "type_name" | "upper" => Type::plain(TEXT),
        _ if name.starts_with("is_") => Type::plain(Kinds::BOOLEAN),
        _ if name.starts_with("trim") => Type::plain(TEXT),
        "array.reverse" | "array.slice" => first().only(LIST),
        "max" | "min" => first().only(ITEMS).item(),
        "object.get" => got(params, of),
        "object.keys" => Type::set(first().only(OBJECT).key()),
        "sort" => Type::list(first().only(ITEMS).item()),
        _ => Type::any(),
    }
}

/// The item that is found, or the last argument.
fn got(params: &[Ref<Expr>], of: impl Fn(&Expr) -> Type) -> Type {
    let [object, key, default] = params else { return Type::any() };
    let mut found = of(default);
    let object = of(object).only(OBJECT);
    match key.as_ref() {
        Expr::String { value, .. } | Expr::RawString { value, .. } => {
            if let Some(field) = value.as_string().ok().and_then(|name| object.field(name)) {
                found.join(&field);
            }
        }
        // A list of keys leads further down.
        key if of(key).may_be(LIST) => found = Type::any(),
        _ => {
            found.join(&object.item());
        }
    }
    found
}
