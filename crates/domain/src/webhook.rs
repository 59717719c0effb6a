//! A brand's subscription, and the rules for what it may hold.

pub mod address;
pub mod endpoint;
mod headers;
pub mod health;
pub mod signature;
pub mod signing_key;
mod status;

pub use headers::{InvalidHeaders, check_headers};
pub use status::{DisabledReason, WebhookStatus};
