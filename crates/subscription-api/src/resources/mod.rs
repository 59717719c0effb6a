//! The resources of the API, a file or a folder each.

pub(crate) mod audit;
pub(crate) mod brands;
pub(crate) mod event_types;
pub(crate) mod events;
pub(crate) mod lookup;
pub(crate) mod me;
pub(crate) mod overview;
pub(crate) mod redeliveries;
pub(crate) mod rejected;
pub(crate) mod tokens;
pub(crate) mod views;
pub(crate) mod webhooks;
