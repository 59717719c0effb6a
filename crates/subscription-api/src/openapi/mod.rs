//! The OpenAPI 3.1 document: the handlers say what they take and what they answer when all goes well
//! or when things conflict; the answers that follow from the kind of a route are added here.

pub mod request_schemas;

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

/// The name of the security scheme.
const BEARER: &str = "bearer";

/// The name, the parts and the words of the document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Postrider",
        description = "Webhooks: subscribe an HTTPS endpoint to events, see what was delivered, and read what was not.\n\nTimes are RFC 3339 UTC with milliseconds. Lists take `limit` and `cursor`. Errors are RFC 9457 `application/problem+json`."
    ),
    components(schemas(problem::ProblemBody, ValidationErrors, FieldError)),
    tags(
        (name = "webhooks", description = "A brand's subscriptions"),
        (name = "events", description = "What can be received, what was, and every attempt"),
        (name = "support", description = "The operators' side: brands, the catalogue, tokens, disabled webhooks, the audit"),
    )
)]
struct Base;

/// The document without paths.
#[must_use]
pub fn base_document() -> Document {
    let mut document = Base::openapi();
    let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme(BEARER, scheme);
    document.security = Some(vec![SecurityRequirement::new(BEARER, [] as [&str; 0])]);
    document
}

/// The error answers that there are, with what each means.
const PROBLEMS: &[(u16, &str)] = &[
    (400, "The body is not JSON, or a query parameter or cursor cannot be read"),
    (401, "No token, or one that is not valid"),
    (403, "The token's role is too small"),
    (404, "It is not there, or not for this token"),
    (409, "It does not go together with how things stand"),
    (413, "The body is over 1 MiB"),
    (415, "The body is of another media type"),
    (422, "Fields are not valid; `errors` names every one of them"),
    (429, "Too many requests with this token, or too many wrong tokens from this address"),
    (500, "A mistake of the platform's"),
    (503, "The database or the broker does not answer; try again soon"),
];

/// The ends of the paths that take a body or none.
const OPTIONAL_BODIES: [&str; 3] = ["/test", "/secret/rotate", "/rejected/republish"];

/// Adds the error answers to every operation.
pub fn add_error_responses(document: &mut Document) {
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
    let described = operation.responses.responses.contains_key("409");
    let answers = [
        (400, takes_body || takes_query),
        (401, true),
        (403, needs_role),
        (404, path.contains('{')),
        (409, described),
        (413, takes_body),
        (415, takes_body),
        (422, takes_body || takes_type),
        (429, true),
        (500, true),
        (503, true),
    ];
    for (status, _) in answers.iter().filter(|(_, answers)| *answers) {
        let own = operation.responses.responses.get_mut(&status.to_string());
        match own {
            // The handler says what the conflict is; its shape is every problem's.
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
        429 | 503 => builder.header("Retry-After", header("Seconds to wait", schema::Type::Integer)).build(),
        _ => builder.build(),
    }
}

/// A handler that answers with the document.
pub fn document_handler(
    document: &Document,
) -> impl Fn() -> std::future::Ready<axum::response::Response> + Clone + use<> {
    let json: std::sync::Arc<str> =
        serde_json::to_string(document).unwrap_or_else(|_| unreachable!("the document is plain data")).into();
    move || {
        let body = json.to_string();
        std::future::ready(([(header::CONTENT_TYPE, "application/json")], body).into_response())
    }
}
