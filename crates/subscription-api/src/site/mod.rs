//! The pages for people: the console, the documentation and the API reference.

pub(crate) mod api_reference;
pub(crate) mod console;
pub(crate) mod docs;
