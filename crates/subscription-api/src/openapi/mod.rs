//! The OpenAPI 3.1 document.
//!
//! The handlers describe their parameters, bodies, successful responses and conflicts. This module adds the error
//! responses, because they follow from the method and the path, the examples, because they follow from the schemas, and
//! the request that endpoints receive.

pub(crate) mod example;
#[cfg(test)]
mod limits;
pub(crate) mod receiver;
pub(crate) mod request_schemas;
pub(crate) mod samples;
pub(crate) mod words;

use axum::body::Bytes;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Content, HeaderBuilder, OpenApi as Document, Ref, RefOr, Required, SecurityRequirement, schema,
};
use utoipa::{OpenApi, ToSchema};

use self::example::{Shown, build_example};
use crate::http::problem;
use crate::validation::errors::{FieldError, ValidationErrors};

/// Name of the security scheme.
const BEARER: &str = "bearer";

/// Title, tags and shared schemas of the document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Postrider",
        description = "Webhooks: subscribe an HTTPS endpoint to events, follow their delivery, and redeliver events that did not arrive.\n\nTimes are RFC 3339 in UTC with milliseconds. Lists accept `limit` and `cursor`. Errors are RFC 9457 `application/problem+json`. In the examples, `acme` stands for the id of your brand, which `GET /v1/me` returns.\n\nA token may send 100 requests a second, unless configured otherwise, in bursts of up to 200. A request that does more counts as several:\n\n| request | counts as |\n| --- | --- |\n| redeliver a range of events, or events by their ids, also with `dryRun` | 50 |\n| read statistics of a brand | 20 |\n| list events of a webhook or a brand with a filter other than a time or `key`; list webhooks with `health` or `order=attention`; read a brand's audit; read statistics of a webhook; read the overview; look up an event; search | 5 |\n| publish events | 1 for every 100 events, rounded up |\n| everything else | 1 |"
    ),
    components(schemas(problem::ProblemBody, ValidationErrors, FieldError)),
    tags(
        (name = "webhooks", description = "The webhooks of a brand"),
        (name = "events", description = "Event types, events, their deliveries and attempts"),
        (name = "tokens", description = "The tokens of a brand"),
        (name = "support", description = "For the support team: brands, the catalogue, tokens, disabled webhooks, rejected messages and the audit"),
    )
)]
struct Base;

/// Creates the document without paths.
#[must_use]
pub(crate) fn base_document() -> Document {
    let mut document = Base::openapi();
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme(BEARER, scheme);
    document.security = Some(vec![SecurityRequirement::new(BEARER, [] as [&str; 0])]);
    document
}

/// The error responses with their descriptions.
const PROBLEMS: &[(u16, &str)] = &[
    (400, "The body is not JSON, or a query parameter or cursor is not valid."),
    (401, "The token is missing or not valid."),
    (403, "The token does not have the required role."),
    (404, "The resource does not exist, or the token does not give access to it."),
    (408, "The body arrived too slowly."),
    (409, "The request conflicts with the current state."),
    (413, "The body is larger than 1 MiB."),
    (415, "The media type of the body is not supported."),
    (422, "Fields are not valid; `errors` names each of them."),
    (
        429,
        "Too many requests with this token, or of this brand at once, or too many events of this brand. Retry after the time in `Retry-After`.",
    ),
    (500, "Internal error."),
    (
        503,
        "The database or the broker is not available, another request holds the same row, or too many bodies, new tokens or connections have to be served. Retry after the time in `Retry-After`.",
    ),
];

/// Suffixes of the paths whose body is optional.
const OPTIONAL_BODIES: [&str; 3] = ["/test", "/secret/rotate", "/rejected/republish"];

/// Completes the document of the handlers.
pub(crate) fn complete_document(mut document: Document) -> Value {
    add_error_responses(&mut document);
    let mut document = serde_json::to_value(document).expect("the document is plain data");
    // The path is relative, so that it holds behind every host name of the API.
    document["servers"] = json!([{"url": "/", "description": "The host that serves this document"}]);
    document["webhooks"] = receiver::section();
    document["components"]["schemas"][receiver::SCHEMA] = receiver::schema();
    add_examples(&mut document);
    document
}

/// Adds an example to each request body and each successful response without one.
fn add_examples(document: &mut Value) {
    let schemas = document.clone();
    let items = document["paths"].as_object_mut().into_iter().flat_map(serde_json::Map::values_mut);
    for operation in
        items.flat_map(|item| item.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut))
    {
        if let Some(body) = operation.get_mut("requestBody") {
            add_example(&schemas, body, Shown::Request);
        }
        let responses = operation["responses"].as_object_mut().into_iter().flatten();
        for (_, response) in responses.filter(|(status, _)| status.starts_with('2')) {
            add_example(&schemas, response, Shown::Response);
        }
    }
}

fn add_example(schemas: &Value, holder: &mut Value, shown: Shown) {
    let Some(content) = holder.get_mut("content").and_then(Value::as_object_mut) else { return };
    for media_type in content.values_mut() {
        if media_type.get("example").is_none() && media_type.get("examples").is_none() {
            media_type["example"] = build_example(schemas, &media_type["schema"], shown);
        }
    }
}

/// Adds the error responses to every operation.
fn add_error_responses(document: &mut Document) {
    let components = document.components.get_or_insert_default();
    for (status, description) in PROBLEMS {
        components.responses.insert(response_name(*status), RefOr::T(error_response(*status, description)));
    }
    for (path, item) in &mut document.paths.paths {
        let operations = [
            (HttpMethod::Get, &mut item.get),
            (HttpMethod::Post, &mut item.post),
            (HttpMethod::Put, &mut item.put),
            (HttpMethod::Patch, &mut item.patch),
            (HttpMethod::Delete, &mut item.delete),
        ];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                complete_operation(path, &method, operation);
            }
        }
    }
}

fn complete_operation(path: &str, method: &HttpMethod, operation: &mut Operation) {
    let takes_body = operation.request_body.is_some();
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        let required = !OPTIONAL_BODIES.iter().any(|end| path.ends_with(end));
        body.required = Some(if required { Required::True } else { Required::False });
    }
    let takes_query = operation.parameters.iter().flatten().any(|parameter| {
        matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == utoipa::openapi::path::ParameterIn::Query)
    });
    let takes_type = path.contains("/{type");
    let needs_role = path.starts_with("/admin") || *method != HttpMethod::Get || path.ends_with("/secret");
    let has_conflict = operation.responses.responses.contains_key("409");
    let responses = [
        (400, takes_body || takes_query),
        (401, true),
        (403, needs_role),
        (404, path.contains('{')),
        (408, takes_body),
        (409, has_conflict),
        (413, takes_body),
        (415, takes_body),
        (422, takes_body || takes_type),
        (429, true),
        (500, true),
        (503, true),
    ];
    for (status, _) in responses.iter().filter(|(_, applies)| *applies) {
        let own = operation.responses.responses.get_mut(&status.to_string());
        match own {
            // The handler describes the conflict; the content is that of every problem.
            Some(RefOr::T(own)) => own.content = error_response(*status, "").content,
            _ => {
                let reference = RefOr::Ref(Ref::from_response_name(response_name(*status)));
                operation.responses.responses.insert(status.to_string(), reference);
            }
        }
    }
}

fn response_name(status: u16) -> String {
    format!("Problem{status}")
}

fn error_response(status: u16, description: &str) -> Response {
    let body = RefOr::Ref(Ref::from_schema_name(problem::ProblemBody::name()));
    let builder = ResponseBuilder::new().description(description);
    let builder = builder.content(problem::MEDIA_TYPE, Content::new(Some(body)));
    let header = |description: &str, of| {
        let schema = schema::ObjectBuilder::new().schema_type(of);
        HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
    };
    match status {
        401 => builder.header("WWW-Authenticate", header("`Bearer`", schema::Type::String)).build(),
        429 | 503 => builder
            .header("Retry-After", header("Seconds to wait before a retry", schema::Type::Integer))
            .build(),
        _ => builder.build(),
    }
}

/// Creates the handler that serves the document.
pub(crate) fn document_handler(
    document: &Value,
) -> impl Fn() -> std::future::Ready<axum::response::Response> + Clone + use<> {
    let json = Bytes::from(document.to_string());
    move || {
        // All responses share the text.
        let body = json.clone();
        std::future::ready(([(header::CONTENT_TYPE, "application/json")], body).into_response())
    }
}
