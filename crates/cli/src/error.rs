//! Errors, with messages that say what to do.

use http::StatusCode;
use serde::Deserialize;

use crate::terminal::escape_text;

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API refused the request.
    #[error("{0}")]
    Refused(Refusal),
    /// The API does not answer.
    #[error("the API does not answer: {0}")]
    Unreachable(String),
    /// The API sent a response that this version cannot parse.
    #[error("the API sent a response that this version does not understand: {0}")]
    Unreadable(String),
    /// The command line, the environment or a file is unusable.
    #[error("{0}")]
    Usage(String),
    /// The checked service is not healthy.
    #[error("{0}")]
    Unhealthy(String),
    /// A job ended before it had handled all of its events; its last form was printed.
    #[error("the job {job} is {state}, and has not handled all of its events")]
    JobStopped {
        /// Id of the job.
        job: String,
        /// Its state.
        state: String,
    },
    /// A redelivery job ended in this state before every event was attempted.
    #[error("the redelivery job was {0} before every event was attempted")]
    Unfinished(String),
    /// A signature was not accepted; the reasons were printed.
    #[error("the request is not accepted")]
    Unverified,
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

/// A refusal by the API: the status and, if the body has one, the RFC 9457 problem.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    problem: Option<Problem>,
}

#[derive(Debug, Deserialize)]
struct Problem {
    title: String,
    detail: Option<String>,
    #[serde(default)]
    errors: Vec<FieldError>,
    /// The open job that a request conflicts with.
    #[serde(rename = "jobId")]
    job_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct FieldError {
    pointer: String,
    detail: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, body: &str) -> Self {
        Self { status, problem: serde_json::from_str(body).ok() }
    }

    /// Returns the job that the request conflicts with.
    pub(crate) fn job_id(&self) -> Option<&str> {
        self.problem.as_ref()?.job_id.as_deref()
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(problem) = &self.problem else { return write!(f, "the API answered {}", self.status) };
        // The texts may repeat the request, so a line break in one of them must not look like the next line.
        let detail = escape_text(problem.detail.as_deref().unwrap_or(&problem.title));
        write!(f, "{detail} ({})", self.status.as_u16())?;
        problem.errors.iter().try_for_each(|error| {
            write!(f, "\n  {}: {}", escape_text(&error.pointer), escape_text(&error.detail))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusal_shows_detail_status_and_every_field_error() {
        let body = r#"{"title":"Unprocessable","detail":"two fields are wrong",
            "errors":[{"pointer":"/endpoint","detail":"a"},{"pointer":"/events","detail":"b"}]}"#;
        let refusal = Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, body);
        assert_eq!(refusal.to_string(), "two fields are wrong (422)\n  /endpoint: a\n  /events: b");
    }

    #[test]
    fn refusal_escapes_what_the_request_contained() {
        let body = r#"{"title":"T","detail":"no \u001b[2K\nbrand","errors":[{"pointer":"/a\nb","detail":"\u202ec"}]}"#;
        let refusal = Refusal::new(StatusCode::NOT_FOUND, body).to_string();
        assert_eq!(refusal, "no \\u001b[2K\\u000abrand (404)\n  /a\\u000ab: \\u202ec");
    }

    #[test]
    fn refusal_falls_back_to_the_title_and_the_status() {
        let titled = Refusal::new(StatusCode::NOT_FOUND, r#"{"title":"Not Found"}"#);
        assert_eq!(titled.to_string(), "Not Found (404)");
        let bare = Refusal::new(StatusCode::BAD_GATEWAY, "<html>");
        assert_eq!(bare.to_string(), "the API answered 502 Bad Gateway");
    }
}
