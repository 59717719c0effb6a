//! What the API reads from strangers: any bytes are read, or refused with a short answer that says why.
//! Corpora are in `../corpus`: what was found to be nasty is added there and stays.

mod bodies;
mod queries;

use axum::body::to_bytes;
use axum::response::IntoResponse;
use serde_json::Value;
use subscription_api::testing::Problem;

/// Largest answer to a request that cannot be read, in bytes: it repeats little of what was sent.
const MAX_RESPONSE_BYTES: usize = 256 * 1024;

/// Resolves a future that waits for nothing.
fn now<T>(future: impl Future<Output = T>) -> T {
    futures_util::FutureExt::now_or_never(future).expect("it waits for nothing")
}

/// Asserts that a refusal has one of these statuses, is short, and is JSON with its reason.
fn assert_refusal(problem: Problem, statuses: &[u16]) {
    let answer = problem.into_response();
    assert!(statuses.contains(&answer.status().as_u16()), "{}", answer.status());
    let body = now(to_bytes(answer.into_body(), MAX_RESPONSE_BYTES)).expect("a short answer");
    let told: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(told["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{told}");
    let errors = told["errors"].as_array().map_or(0, Vec::len);
    assert_eq!(errors > 0, told["status"] == 422, "{told}");
}
