//! Extractors of JSON bodies: they check the media type, the size and the syntax.

use std::iter::successors;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt;
use hyper::body::Body as _;
use runtime::http_server::BodyTooSlow;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::budget::RequestBudget;
use crate::http::problem::{Problem, Result};
use crate::http::problem_kind::ProblemKind;

/// Largest request body, in bytes (contract §4).
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A JSON body sent as `application/json`.
// No Debug: it may hold secrets, such as header values.
pub struct JsonBody(pub Box<RawValue>);

/// A JSON body sent as `application/json`; an empty body counts as `{}`, whatever its media type.
// No Debug: it may hold secrets, such as header values.
pub(crate) struct OptionalJsonBody(pub(crate) Box<RawValue>);

/// A JSON body sent as `application/merge-patch+json` or `application/json`.
// No Debug: it may hold secrets, such as header values.
pub(crate) struct PatchBody(pub(crate) Box<RawValue>);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        read_json(request, &["application/json"]).await.map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for OptionalJsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let checked = check_media_type(request.headers(), &["application/json"]);
        // A body without a length may turn out to be empty.
        if request.body().size_hint().lower() > 0 {
            checked?;
            return parse_json(&collect_within_budget(request).await?).map(Self);
        }
        let bytes = collect_within_budget(request).await?;
        if bytes.is_empty() {
            return parse_json(b"{}").map(Self);
        }
        checked?;
        parse_json(&bytes).map(Self)
    }
}

impl<S: Send + Sync> FromRequest<S> for PatchBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        read_json(request, &["application/merge-patch+json", "application/json"]).await.map(Self)
    }
}

async fn read_json(request: Request, accepted: &[&str]) -> Result<Box<RawValue>> {
    check_media_type(request.headers(), accepted)?;
    parse_json(&collect_within_budget(request).await?)
}

/// Checks that the media type is one of the accepted ones.
fn check_media_type(headers: &HeaderMap, accepted: &[&str]) -> Result<()> {
    let media_type = media_type(headers);
    if media_type.as_deref().is_some_and(|given| accepted.contains(&given)) {
        return Ok(());
    }
    Err(Problem::unsupported_media_type(format!("send the header content-type: {}", accepted[0])))
}

/// Collects the whole body, within the budget of the caller.
async fn collect_within_budget(request: Request) -> Result<Vec<u8>> {
    let budget = RequestBudget::of(request.extensions());
    let body = request.into_body();
    // Without a content-length, the body may have any size until it is read.
    let size =
        body.size_hint().exact().map_or(MAX_BODY_BYTES, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    match size {
        0 => Ok(Vec::new()),
        _ if size > MAX_BODY_BYTES => Err(too_large()),
        _ => budget.read_body(size, collect_bytes(body)).await,
    }
}

fn too_large() -> Problem {
    Problem::payload_too_large(format!("the body may have {MAX_BODY_BYTES} bytes at most"))
}

fn not_read(error: &axum::Error) -> Problem {
    let error: &(dyn std::error::Error + 'static) = error;
    // Each layer around the body wraps the error once more.
    if successors(Some(error), |error| error.source()).any(|error| error.is::<BodyTooSlow>()) {
        return Problem::request_timeout("the body arrived too slowly");
    }
    Problem::new(ProblemKind::InvalidBody, "the body could not be read to its end")
}

/// Collects the whole body, within [`MAX_BODY_BYTES`].
async fn collect_bytes(body: Body) -> Result<Vec<u8>> {
    let size = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default();
    let mut bytes = Vec::with_capacity(size.min(MAX_BODY_BYTES));
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| not_read(&error))?;
        if bytes.len() + chunk.len() > MAX_BODY_BYTES {
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn parse_json(bytes: &[u8]) -> Result<Box<RawValue>> {
    // Checked first, because a raw value would accept strings that are not UTF-8.
    let text = std::str::from_utf8(bytes)
        .map_err(|_| Problem::new(ProblemKind::InvalidBody, "the body is not UTF-8"))?;
    let invalid = |error: serde_json::Error| {
        Problem::new(ProblemKind::InvalidBody, format!("the body is not JSON: {error}"))
    };
    serde_json::from_str::<IgnoredAny>(text).map_err(invalid)?;
    serde_json::from_str(text).map_err(invalid)
}

/// Reads the media type: `type/subtype` in lower case, without parameters.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::StatusCode;

    #[tokio::test]
    async fn the_size_of_a_body_is_bounded() {
        assert_eq!(
            collect_bytes(Body::from(vec![b' '; MAX_BODY_BYTES])).await.map(|bytes| bytes.len()).ok(),
            Some(MAX_BODY_BYTES)
        );
        let refused = collect_bytes(Body::from(vec![b' '; MAX_BODY_BYTES + 1]))
            .await
            .map_err(|problem| problem.status());
        assert_eq!(refused, Err(StatusCode::PAYLOAD_TOO_LARGE));
    }

    #[tokio::test]
    async fn an_optional_body_may_be_empty_whatever_its_media_type() {
        let read = async |media_type: Option<&str>, body: Body| {
            let mut request = Request::builder();
            if let Some(media_type) = media_type {
                request = request.header(header::CONTENT_TYPE, media_type);
            }
            let request = request.body(body).expect("a request");
            let read = OptionalJsonBody::from_request(request, &()).await;
            read.map(|body| body.0.get().to_owned()).map_err(|problem| problem.status())
        };
        // Of unknown length, as chunks are.
        let chunks = |text: &'static str| {
            Body::from_stream(futures_util::stream::iter([Ok::<_, std::io::Error>(text)]))
        };
        let json = Some("application/json; charset=utf-8");
        for media_type in [None, json, Some("text/plain")] {
            assert_eq!(read(media_type, Body::empty()).await.as_deref(), Ok("{}"), "{media_type:?}");
            assert_eq!(read(media_type, chunks("")).await.as_deref(), Ok("{}"), "{media_type:?}");
        }
        for body in [Body::from("{\"a\":1}"), chunks("{\"a\":1}")] {
            assert_eq!(read(json, body).await.as_deref(), Ok("{\"a\":1}"));
        }
        for body in [Body::from("{}"), chunks("{}")] {
            assert_eq!(read(Some("text/plain"), body).await, Err(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        assert_eq!(read(None, Body::from("{}")).await, Err(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        assert_eq!(read(json, Body::from(" ")).await, Err(StatusCode::BAD_REQUEST), "a blank is no JSON");
    }

    #[test]
    fn only_json_is_accepted() {
        assert_eq!(
            parse_json(b" {\"a\": 1.10} ").map(|raw| raw.get().to_owned()).ok().as_deref(),
            Some("{\"a\": 1.10}")
        );
        for bad in [
            &b""[..],
            b"{",
            b"{}{}",
            b"{\"a\":1,}",
            b"nul",
            b"\"\xff\"",
            b"\xef\xbb\xbf{}",
            b"{'a':1}",
            b"NaN",
        ] {
            let status = parse_json(bad).map_err(|problem| problem.status());
            assert_eq!(status.map(|_| ()), Err(StatusCode::BAD_REQUEST), "{}", String::from_utf8_lossy(bad));
        }
        let deep = "[".repeat(100_000);
        assert!(parse_json(deep.as_bytes()).is_err());
    }
}
