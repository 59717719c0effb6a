//! Validation of requests: every field error is collected before the response is written.
//!
//! [`fields::Fields`] reads a JSON object field by field with [`validators`] and adds each error to
//! [`errors::ValidationErrors`], which becomes a 422. Nothing here knows HTTP.

pub(crate) mod endpoint_resolver;
pub(crate) mod errors;
pub(crate) mod fields;
pub(crate) mod header_patch;
pub(crate) mod patch;
pub(crate) mod subscribable_types;
pub(crate) mod timestamp;
pub mod validators;
