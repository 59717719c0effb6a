//! The life of a delivery: its states, its attempts, and the decision after each attempt.
//!
//! [`attempt`] holds the facts of an attempt and [`judge_attempt`] the decision. [`retry`] computes the time of the
//! next attempt and the delay queues on the way to it. [`adaptive_concurrency`] limits the requests to one endpoint.
//! [`envelope`] is the body of a request, and [`exchange`] what is stored of a request and its response.

pub mod adaptive_concurrency;
pub mod attempt;
pub mod envelope;
pub mod exchange;
pub mod retry;
mod status;
mod verdict;

pub use status::{DeliveryStatus, Transition};
pub use verdict::{Next, Verdict, is_gone, judge_attempt, judge_test};
