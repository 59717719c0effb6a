//! Fuzz targets for the input of the API: any bytes are accepted, or refused with a short response that says why.
//!
//! The corpora are in `../corpus`. Add every input there that once broke the API.

mod bodies;
mod queries;

use axum::body::to_bytes;
use axum::response::IntoResponse;
use serde_json::Value;
use subscription_api::testing::Problem;

/// Largest response to an invalid request, in bytes, because a response must repeat little of the request.
const MAX_RESPONSE_BYTES: usize = 256 * 1024;

/// Returns the result of a future that is ready at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(future).expect("a ready future")
}

/// Asserts that a problem has one of these statuses and is short JSON with a reason.
fn assert_refusal(problem: Problem, statuses: &[u16]) {
    let response = problem.into_response();
    assert!(statuses.contains(&response.status().as_u16()), "{}", response.status());
    let body = now(to_bytes(response.into_body(), MAX_RESPONSE_BYTES)).expect("a short response");
    let problem: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    let errors = problem["errors"].as_array().map_or(0, Vec::len);
    assert_eq!(errors > 0, problem["status"] == 422, "{problem}");
}
