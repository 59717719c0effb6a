//! Every error answer: RFC 9457 `application/problem+json`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use runtime::error::Chain;
use serde::Serialize;
use store::StoreError;
use tracing::{error, warn};
use utoipa::ToSchema;

use crate::validation::errors::ValidationErrors;

/// The media type of every error answer.
pub const MEDIA_TYPE: &str = "application/problem+json";
/// After how many seconds to try again when a server behind us is away.
const RETRY_SECONDS: u64 = 2;

/// An error answer.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    errors: ValidationErrors,
    retry_after_seconds: Option<u64>,
}

/// The answer to a handler.
pub type Result<T> = std::result::Result<T, Problem>;

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: ValidationErrors::default(), retry_after_seconds: None }
    }

    /// 400: what came cannot be read at all.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: no token, or one that is not valid.
    #[must_use]
    pub fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403: the token's role is too small.
    #[must_use]
    pub fn forbidden(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404: it is not there, or not for this caller.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405: the path is there, the method is not.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method; see the header Allow")
    }

    /// 409: it does not go together with how things stand.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 413: the body is too large.
    #[must_use]
    pub fn payload_too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 415: the body is of another media type.
    #[must_use]
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 422: the body says what cannot be; every field at fault is named.
    #[must_use]
    pub fn invalid(errors: ValidationErrors) -> Self {
        let detail = match errors.len() {
            1 => "one field is not valid; errors says why".to_owned(),
            n => format!("{n} fields are not valid; errors says why"),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }

    /// 429: too many requests; try again after so many seconds.
    #[must_use]
    pub fn too_many_requests(detail: &str, retry_after_seconds: u64) -> Self {
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
        }
    }

    /// 500: a mistake of ours. The caller is told nothing of it; it is logged.
    #[must_use]
    pub fn internal_error() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong here; it was logged")
    }

    /// 503: try again soon.
    #[must_use]
    pub fn service_unavailable(detail: &str) -> Self {
        Self {
            retry_after_seconds: Some(RETRY_SECONDS),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<StoreError> for Problem {
    /// Logs the failure: this is where it is handled.
    fn from(failure: StoreError) -> Self {
        if failure.is_unavailable() {
            warn!(error = %Chain(&failure), "answered 503");
            return Self::service_unavailable("the database does not answer; try again soon");
        }
        error!(error = %Chain(&failure), "answered 500");
        Self::internal_error()
    }
}

/// The body of an error answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody<'a> {
    /// Always `about:blank`: the status says what kind of problem it is
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words
    title: &'a str,
    /// The HTTP status
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What went wrong and what to do
    detail: &'a str,
    /// With 422: every field that is not valid
    #[serde(skip_serializing_if = "ValidationErrors::is_empty")]
    errors: &'a ValidationErrors,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            errors: &self.errors,
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
