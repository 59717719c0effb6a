//! Error responses: RFC 9457 `application/problem+json`.
//!
//! Failures of the database and the broker become a [`Problem`] here, and here they are logged once. The caller
//! learns nothing about them except whether to retry. The `type` of each response leads to its section of `/docs/errors`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use broker::BrokerError;
use runtime::error::Chain;
use serde::Serialize;
use store::StoreError;
use tracing::{debug, error, warn};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::http::problem_kind::ProblemKind;
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
    kind: ProblemKind,
    detail: String,
    errors: ValidationErrors,
    retry_after_seconds: Option<u64>,
    job: Option<Uuid>,
}

/// The result of a handler.
pub type Result<T> = std::result::Result<T, Problem>;

impl Problem {
    /// A problem of this kind, whose detail tells the error and how to fix it.
    #[must_use]
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            errors: ValidationErrors::default(),
            retry_after_seconds: None,
            job: None,
        }
    }

    /// Names a more specific kind with the same status.
    #[must_use]
    pub fn of_kind(self, kind: ProblemKind) -> Self {
        debug_assert_eq!(kind.status(), self.kind.status(), "{kind:?}");
        Self { kind, ..self }
    }

    /// 400: a query parameter, a cursor or a header has an invalid value.
    #[must_use]
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::InvalidParameter, detail)
    }

    /// 401: the token is not valid.
    #[must_use]
    pub fn unauthorized(detail: &str) -> Self {
        Self::new(ProblemKind::TokenInvalid, detail)
    }

    /// 403: the token does not have the required role.
    #[must_use]
    pub fn forbidden(detail: &str) -> Self {
        Self::new(ProblemKind::WriteRoleRequired, detail)
    }

    /// 404: the resource does not exist, or the caller may not see it.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::NotFound, detail)
    }

    /// 405: the path exists, but not with this method.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        Self::new(
            ProblemKind::MethodNotAllowed,
            "this path does not support this method; see the header Allow",
        )
    }

    /// 408: the request does not arrive.
    #[must_use]
    pub fn request_timeout(detail: &str) -> Self {
        Self::new(ProblemKind::RequestTimeout, detail)
    }

    /// 409: the request conflicts with the state of the resource.
    #[must_use]
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Conflict, detail)
    }

    /// Names the job that is in the way.
    #[must_use]
    pub(crate) fn with_job(self, job: Uuid) -> Self {
        Self { job: Some(job), ..self }
    }

    /// 413: the body is too large.
    #[must_use]
    pub fn payload_too_large(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::BodyTooLarge, detail)
    }

    /// 415: the body has an unsupported media type.
    #[must_use]
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::UnsupportedMediaType, detail)
    }

    /// 429: too many requests; the caller may retry after the given seconds.
    #[must_use]
    pub fn too_many_requests(detail: &str, retry_after_seconds: u64) -> Self {
        Self { retry_after_seconds: Some(retry_after_seconds), ..Self::new(ProblemKind::TokenRate, detail) }
    }

    /// 500: an internal error. The details are logged and not sent to the caller.
    #[must_use]
    pub fn internal_error() -> Self {
        Self::new(ProblemKind::InternalError, "internal error; the details were logged")
    }

    /// 503: the caller may retry soon.
    #[must_use]
    pub fn service_unavailable(detail: &str) -> Self {
        Self { retry_after_seconds: Some(RETRY_AFTER_SECONDS), ..Self::new(ProblemKind::Unavailable, detail) }
    }

    /// Returns whether another request or job holds the resource.
    #[must_use]
    pub(crate) fn is_locked(&self) -> bool {
        self.kind == ProblemKind::ResourceLocked
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }
}

impl From<ValidationErrors> for Problem {
    /// 422: the response names every field that is not valid.
    fn from(errors: ValidationErrors) -> Self {
        let detail = match errors.len() {
            1 => "one field is not valid; errors says why".to_owned(),
            n => format!("{n} fields are not valid; errors says why"),
        };
        Self { errors, ..Self::new(ProblemKind::InvalidFields, detail) }
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
                    .of_kind(ProblemKind::ResourceLocked)
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
    /// URI reference that identifies the kind of the problem. It leads to the section of `/docs/errors` that explains the
    /// kind, relative to the URL of the request
    #[serde(rename = "type")]
    #[schema(example = "/docs/errors#invalid-fields", pattern = "^/docs/errors#[a-z-]+$")]
    kind: &'static str,
    /// The kind of the problem in words
    #[schema(example = "Invalid fields")]
    title: &'a str,
    /// The HTTP status code
    #[schema(minimum = 400, maximum = 599, example = 422)]
    status: u16,
    /// The error and how to fix it
    #[schema(example = "one field is not valid; errors says why")]
    detail: &'a str,
    /// Every field that is not valid; only with status 422
    #[serde(skip_serializing_if = "ValidationErrors::is_empty")]
    errors: &'a ValidationErrors,
    /// The job that is in the way; only with status 409
    #[serde(rename = "jobId", skip_serializing_if = "Option::is_none")]
    job: Option<Uuid>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: self.kind.type_uri(),
            title: self.kind.title(),
            status: self.status().as_u16(),
            detail: &self.detail,
            errors: &self.errors,
            job: self.job,
        };
        let mut response = (self.status(), Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
