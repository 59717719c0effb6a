//! The OpenAPI 3.1 document.
//!
//! The handlers describe their parameters, bodies, successful responses and conflicts. This module adds the error
//! responses, because they follow from the method and the path.

pub(crate) mod request_schemas;
pub(crate) mod words;

use axum::body::Bytes;
use axum::http::header;
use axum::response::IntoResponse;
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Content, HeaderBuilder, OpenApi as Document, Ref, RefOr, Required, SecurityRequirement, schema,
};
use utoipa::{OpenApi, ToSchema};

use crate::http::problem;
use crate::validation::errors::{FieldError, ValidationErrors};

/// Name of the security scheme.
const BEARER: &str = "bearer";

/// Title, tags and shared schemas of the document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Postrider",
        description = "Webhooks: subscribe an HTTPS endpoint to events, follow their delivery, and redeliver events that did not arrive.\n\nTimes are RFC 3339 in UTC with milliseconds. Lists accept `limit` and `cursor`. Errors are RFC 9457 `application/problem+json`.\n\nA token may send 100 requests a second, unless configured otherwise, in bursts of up to 200. A request that does more counts as several:\n\n| request | counts as |\n| --- | --- |\n| redeliver a range of events | 50 |\n| list events with `type` or `status`; read statistics; read the overview | 5 |\n| publish events | 1 for each 100 events begun |\n| everything else | 1 |"
    ),
    components(schemas(problem::ProblemBody, ValidationErrors, FieldError)),
    tags(
        (name = "webhooks", description = "The webhooks of a brand"),
        (name = "events", description = "Event types, events, their deliveries and attempts"),
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

/// Adds the error responses to every operation.
pub(crate) fn add_error_responses(document: &mut Document) {
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
    document: &Document,
) -> impl Fn() -> std::future::Ready<axum::response::Response> + Clone + use<> {
    let json = Bytes::from(serde_json::to_string(document).expect("the document is plain data"));
    move || {
        // All responses share the text.
        let body = json.clone();
        std::future::ready(([(header::CONTENT_TYPE, "application/json")], body).into_response())
    }
}
