//! The resources of the API, a file or a folder each.

pub mod audit;
pub mod brands;
pub mod event_types;
pub mod events;
pub mod me;
pub mod overview;
pub mod redeliveries;
pub mod rejected;
pub mod views;
pub mod webhooks;
