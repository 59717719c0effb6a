//! Error responses: RFC 9457 `application/problem+json`.
//!
//! Failures of the database and the broker become a [`Problem`] here, and here they are logged once. The caller
//! learns nothing about them except whether to retry.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use broker::BrokerError;
use runtime::error::Chain;
use serde::Serialize;
use store::StoreError;
use tracing::{debug, error, warn};
use utoipa::ToSchema;

use crate::validation::errors::ValidationErrors;

/// The media type of every error response.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";
/// Seconds after which to retry when the database or the broker is not available.
const RETRY_AFTER_SECONDS: u64 = 2;
/// Seconds after which to retry when another request holds the same row.
const LOCKED_RETRY_AFTER_SECONDS: u64 = 1;

/// An error response.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    errors: ValidationErrors,
    retry_after_seconds: Option<u64>,
}

/// The result of a handler.
pub type Result<T> = std::result::Result<T, Problem>;

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), errors: ValidationErrors::default(), retry_after_seconds: None }
    }

    /// 400: the request cannot be parsed.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401: the token is missing or not valid.
    #[must_use]
    pub fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403: the token does not have the required role.
    #[must_use]
    pub fn forbidden(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404: the resource does not exist, or the caller may not see it.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405: the path exists, but not with this method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "this path does not support this method; see the header Allow",
        )
    }

    /// 408: the request does not arrive.
    #[must_use]
    pub fn request_timeout(detail: &str) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, detail)
    }

    /// 409: the request conflicts with the state of the resource.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 413: the body is too large.
    #[must_use]
    pub fn payload_too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// 415: the body has an unsupported media type.
    #[must_use]
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 429: too many requests; the caller may retry after the given seconds.
    #[must_use]
    pub fn too_many_requests(detail: &str, retry_after_seconds: u64) -> Self {
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
        }
    }

    /// 500: an internal error. The details are logged and not sent to the caller.
    #[must_use]
    pub fn internal_error() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error; the details were logged")
    }

    /// 503: the caller may retry soon.
    #[must_use]
    pub fn service_unavailable(detail: &str) -> Self {
        Self {
            retry_after_seconds: Some(RETRY_AFTER_SECONDS),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl From<ValidationErrors> for Problem {
    /// 422: the response names every field that is not valid.
    fn from(errors: ValidationErrors) -> Self {
        let detail = match errors.len() {
            1 => "one field is not valid; errors says why".to_owned(),
            n => format!("{n} fields are not valid; errors says why"),
        };
        Self { errors, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail) }
    }
}

impl From<BrokerError> for Problem {
    /// Logs the failure, because this is the place that handles it.
    fn from(failure: BrokerError) -> Self {
        warn!(error = %Chain(&failure), "responding 503: the broker failed");
        Self::service_unavailable("the broker does not answer; try again soon")
    }
}

impl From<StoreError> for Problem {
    /// Logs the failure, because this is the place that handles it.
    fn from(failure: StoreError) -> Self {
        if failure.is_locked() {
            debug!(error = %Chain(&failure), "responding 503: another transaction holds the row");
            return Self {
                retry_after_seconds: Some(LOCKED_RETRY_AFTER_SECONDS),
                ..Self::service_unavailable("another request is changing the same resource; try again soon")
            };
        }
        if failure.is_unavailable() {
            warn!(error = %Chain(&failure), "responding 503: the database is not available");
            return Self::service_unavailable("the database does not answer; try again soon");
        }
        error!(error = %Chain(&failure), "responding 500: the database failed");
        Self::internal_error()
    }
}

/// The body of an error response.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// Always `about:blank`, which means that `status` tells the kind of the problem
    #[serde(rename = "type")]
    kind: &'static str,
    /// The HTTP status in words
    title: &'a str,
    /// The HTTP status code
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// The error and how to fix it
    detail: &'a str,
    /// Every field that is not valid; only with status 422
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
