//! A webhook: a brand's subscription to events, and the rules for its configuration.
//!
//! [`endpoint`] is the URL that requests go to, and [`address`] the addresses that no request may go to. [`signature`]
//! and [`signing_key`] authenticate requests. [`health`] decides when the platform disables a webhook, and
//! [`health_state`] tells how it is until then.

pub mod address;
pub mod endpoint;
mod headers;
pub mod health;
pub mod health_state;
pub mod signature;
pub mod signing_key;
mod status;

pub use headers::{CustomHeaders, HIDDEN_HEADER_VALUE, InvalidHeaders, check_headers};
pub use status::{DisabledReason, WebhookStatus};
