//! Validation of request bodies: every field error is collected before the response is written.

pub mod endpoint_resolver;
pub mod errors;
pub mod fields;
pub mod header_patch;
pub mod patch;
pub mod subscribable_types;
pub mod validators;
