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

/// Largest request body, in bytes (contract §4).
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// A JSON body sent as `application/json`.
// No Debug: it may hold secrets, such as header values.
pub struct JsonBody(pub Box<RawValue>);

/// A JSON body sent as `application/json`; an empty body counts as `{}`.
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
        if request.headers().contains_key(header::CONTENT_TYPE) {
            return read_json(request, &["application/json"]).await.map(Self);
        }
        if collect_within_budget(request).await?.is_empty() {
            return parse_json(b"{}").map(Self);
        }
        Err(Problem::unsupported_media_type("send the header content-type: application/json".to_owned()))
    }
}

impl<S: Send + Sync> FromRequest<S> for PatchBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        read_json(request, &["application/merge-patch+json", "application/json"]).await.map(Self)
    }
}

async fn read_json(request: Request, accepted: &[&str]) -> Result<Box<RawValue>> {
    let media_type = media_type(request.headers());
    if !media_type.as_deref().is_some_and(|given| accepted.contains(&given)) {
        return Err(Problem::unsupported_media_type(format!(
            "send the header content-type: {}",
            accepted[0]
        )));
    }
    parse_json(&collect_within_budget(request).await?)
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
    Problem::bad_request("the body could not be read to its end")
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
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::bad_request("the body is not UTF-8"))?;
    let invalid = |error: serde_json::Error| Problem::bad_request(format!("the body is not JSON: {error}"));
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
