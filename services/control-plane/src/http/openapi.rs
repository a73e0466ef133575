use super::{
    log_reads::{DEFAULT_ENTRIES, MAX_ENTRIES},
    query::DEFAULT_PAGE,
    refusals::refusals,
    routes::{Access, Endpoint, ROUTES, Route, Verb},
};
use axum::{body::Bytes, http::header, response::IntoResponse};
use messages::{MAX_PAGE, PROBLEM_JSON, ProblemType as Type};
use policy::Code;
use serde_json::{Map, Value, json};
use std::{collections::BTreeSet, sync::LazyLock};

pub(crate) async fn document() -> impl IntoResponse {
    // Large, and the same for as long as the program runs.
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| openapi().to_string().into());
    ([(header::CONTENT_TYPE, JSON)], DOCUMENT.clone())
}

/// The OpenAPI 3.1 document of this API, from the route table: what `/openapi.json` answers.
pub fn openapi() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        // OpenAPI has no wildcards; a tile's path has slashes in it.
        let path = route.path.replace("{*", "{");
        let verb = match route.verb {
            Verb::Get => "get",
            Verb::Post => "post",
        };
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(verb.to_owned(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Countersign control plane",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Statements are UCAN 1.0 invocations in a container. Problems are RFC 9457. A path \
                that is not here is answered 404, a method that is not here 405 with Allow.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "read": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "UCAN container",
                    "description": "A UCAN 1.0 container (base64 or base64url text) with an invocation of the command that \
                        an operation names, or of one above it such as /read, and the delegations that entitle its \
                        issuer. It is addressed to the control plane (aud), its subject is a tenant (to read what is \
                        the tenant's) or the operator (to read everything), and it expires within 15 minutes. It can \
                        be used again until then. Operations without this either say what everyone may know or take \
                        a body that proves itself.",
                },
            },
            "schemas": schemas(),
        },
    })
}

/// The wire's schemas, with the words that policy has for what it finds.
fn schemas() -> Map<String, Value> {
    let mut schemas = messages::schemas();
    let words: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let meanings: Vec<String> = Code::ALL.iter().map(|code| format!("- `{code}`: {}", code.description())).collect();
    let description = format!("Why a proposal is denied:\n\n{}", meanings.join("\n"));
    schemas.insert("Code".to_owned(), json!({"type": "string", "enum": words, "description": description}));
    if let Some(code) = schemas.get_mut("Violation").and_then(|v| v.pointer_mut("/properties/code")) {
        *code = reference("Code");
    }
    schemas
}

fn operation(route: &Route) -> Value {
    let mut responses = Map::new();
    let (status, media, schema) = route.answer;
    responses.insert(status.to_string(), answer("Done", media, schema));
    if matches!(route.endpoint, Endpoint::Propose | Endpoint::State) {
        let repeated = "The log has these bytes already: the first answer again";
        responses.insert("200".to_owned(), answer(repeated, media, schema));
    }
    responses.extend(refusals(route).into_iter().map(|(status, kinds)| (status.to_string(), refusal(status, &kinds))));
    let mut operation = json!({"summary": route.summary, "parameters": parameters(route), "responses": responses});
    let Some(fields) = operation.as_object_mut() else { return operation };
    let security = match route.access {
        Access::Public | Access::Body => None,
        Access::Read(command) | Access::ReadAll(command) => Some(json!([{"read": [command]}])),
        Access::BodyOrRead(command) => Some(json!([{}, {"read": [command]}])),
    };
    fields.extend(security.map(|security| ("security".to_owned(), security)));
    if let Some((media, json_schema)) = route.body {
        let mut bodies = Map::new();
        bodies.insert(media.to_owned(), content(media, ""));
        if !json_schema.is_empty() {
            bodies.insert(JSON.to_owned(), content(JSON, json_schema));
        }
        fields.insert("requestBody".to_owned(), json!({"required": true, "content": bodies}));
    }
    operation
}

const JSON: &str = "application/json";

fn answer(description: &str, media: &str, schema: &str) -> Value {
    if media.is_empty() {
        return json!({"description": description});
    }
    json!({"description": description, "content": {media: content(media, schema)}})
}

/// An answer that is a problem of one of `kinds`.
fn refusal(status: u16, kinds: &BTreeSet<Type>) -> Value {
    let kinds: Vec<String> = kinds.iter().map(|kind| format!("{} (`{}`)", kind.title(), kind.slug())).collect();
    let mut refusal = answer(&kinds.join("; "), PROBLEM_JSON, "Problem");
    let (header, schema, description) = match status {
        401 => ("WWW-Authenticate", json!({"type": "string"}), "The scheme: Bearer."),
        429 | 503 => ("Retry-After", json!({"type": "integer", "minimum": 1}), "Seconds to wait."),
        _ => return refusal,
    };
    if let Some(fields) = refusal.as_object_mut() {
        fields.insert("headers".to_owned(), json!({header: {"schema": schema, "description": description}}));
    }
    refusal
}

fn content(media: &str, schema: &str) -> Value {
    let schema = match (schema, media) {
        ("", JSON) => json!({"type": "object"}),
        ("", "text/plain") => json!({"type": "string"}),
        // Bytes as they are.
        ("", _) => json!({}),
        (name, _) => reference(name),
    };
    json!({"schema": schema})
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| {
        let schema = match name {
            "did" => reference("Did"),
            "cid" => reference("Cid"),
            "size" => json!({"type": "integer", "minimum": 0}),
            _ => json!({"type": "string"}),
        };
        json!({"name": name.trim_start_matches('*'), "in": "path", "required": true, "schema": schema})
    });
    let in_query = route.query.iter().map(|name| {
        let required = matches!((route.endpoint, *name), (Endpoint::Inclusion, "seq") | (Endpoint::Consistency, "old"));
        json!({"name": name, "in": "query", "required": required, "schema": queried(route, name)})
    });
    in_path.chain(in_query).collect()
}

fn queried(route: &Route, name: &str) -> Value {
    match (name, route.endpoint) {
        ("tenant" | "installation", _) => reference("Did"),
        ("status", _) => reference("ProposalStatus"),
        ("order", _) => reference("OrderId"),
        ("limit", Endpoint::Entries) => {
            let description =
                "At most so many. Fewer come when they are large: read on from the next until none comes.";
            let (most, default) = (MAX_ENTRIES, DEFAULT_ENTRIES);
            json!({"type": "integer", "minimum": 1, "maximum": most, "default": default, "description": description})
        }
        ("limit", _) => json!({"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE}),
        ("cursor", Endpoint::Proposals) => {
            json!({"type": "integer", "minimum": 0, "description": "The next of the page before."})
        }
        ("cursor", _) => json!({"type": "string", "description": "The next of the page before."}),
        ("from" | "seq" | "size" | "old" | "new", _) => json!({"type": "integer", "minimum": 0}),
        _ => json!({"type": "string"}),
    }
}
