//! One delivery: its context, its messages, and an attempt from the request to the facts.

pub(crate) mod address_guard;
pub(crate) mod attempt;
pub mod client;
pub(crate) mod connection;
pub(crate) mod context;
pub(crate) mod exchange;
pub(crate) mod exchange_trace;
pub(crate) mod messages;
pub(crate) mod request;

pub(crate) use context::{Delivery, DeliveryContext, DeliveryOutcome};
