use super::routes::{Access, ROUTES, Route, Verb};
use axum::Json;
use messages::{PROBLEM_JSON, ProblemType};
use serde_json::{Map, Value, json};

/// The OpenAPI document, from the route table.
pub(crate) async fn document() -> Json<Value> {
    Json(build())
}

pub(crate) fn build() -> Value {
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
            "description": "Statements are UCAN 1.0 invocations in a container. Problems are RFC 9457.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "read": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "UCAN container",
                    "description": "An invocation of /read or narrower, addressed to the control plane, whose subject is \
                        a tenant or the operator, and which expires within 15 minutes.",
                },
            },
            "schemas": schemas(),
        },
    })
}

fn operation(route: &Route) -> Value {
    let (status, media, schema) = route.answer;
    let success = if media.is_empty() {
        json!({"description": "Done"})
    } else {
        json!({"description": "Done", "content": {media: content(schema)}})
    };
    let mut operation = json!({
        "summary": route.summary,
        "parameters": parameters(route),
        "responses": {
            status.to_string(): success,
            "default": {"description": "A problem", "content": {PROBLEM_JSON: content("Problem")}},
        },
    });
    let Some(fields) = operation.as_object_mut() else { return operation };
    if let Access::Read(command) | Access::ReadAll(command) = route.access {
        fields.insert("security".to_owned(), json!([{"read": [command]}]));
    }
    if let Some((media, json_schema)) = route.body {
        let mut bodies = Map::new();
        bodies.insert(media.to_owned(), json!({"schema": {"type": "string", "format": "binary"}}));
        if !json_schema.is_empty() {
            bodies.insert("application/json".to_owned(), content(json_schema));
        }
        fields.insert("requestBody".to_owned(), json!({"required": true, "content": bodies}));
    }
    operation
}

fn content(schema: &str) -> Value {
    match schema {
        "" => json!({"schema": {}}),
        name => json!({"schema": {"$ref": format!("#/components/schemas/{name}")}}),
    }
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| (name.trim_start_matches('*'), "path", true));
    let in_query = route.query.iter().map(|name| (*name, "query", false));
    let parameter = |(name, place, required): (&str, &str, bool)| json!({"name": name, "in": place, "required": required, "schema": {"type": "string"}});
    in_path.chain(in_query).map(parameter).collect()
}

fn schemas() -> Value {
    let mut schemas = Map::new();
    let answers = ROUTES.iter().map(|r| r.answer.2);
    let bodies = ROUTES.iter().filter_map(|r| r.body).map(|(_, schema)| schema);
    for name in answers.chain(bodies).filter(|name| !name.is_empty()) {
        let schema = match name.strip_prefix("PageOf") {
            Some(item) => json!({
                "type": "object",
                "required": ["items"],
                "properties": {
                    "items": {"type": "array", "items": {"type": "object", "title": item}},
                    "next": {"type": "string"},
                },
            }),
            None => json!({"type": "object", "title": name}),
        };
        schemas.insert(name.to_owned(), schema);
    }
    let types: Vec<&str> = ProblemType::ALL.iter().map(|t| t.uri()).collect();
    schemas.insert(
        "Problem".to_owned(),
        json!({
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": {"type": "string", "format": "uri", "enum": types},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
                "field": {"type": "string"},
                "hop": {"type": "integer"},
                "cid": {"type": "string"},
                "retry_after": {"type": "integer"},
                "violations": {"type": "array", "items": {"type": "object"}},
            },
        }),
    );
    Value::Object(schemas)
}
