//! The life of a delivery: its states, its attempts, and what follows each of them.

pub mod adaptive_concurrency;
pub mod attempt;
pub mod envelope;
pub mod retry;
mod status;
mod verdict;

pub use status::{DeliveryStatus, Transition};
pub use verdict::{Next, Verdict, after_attempt, is_gone};
