//! The pages for people: the console, the documentation and the API reference.

pub mod api_reference;
pub mod console;
pub mod docs;
