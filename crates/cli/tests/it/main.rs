//! `postrider` as a process, against a small fake of the API.
//!
//! `tests/it/cli.rs` of the workspace runs it against real services. The fake covers answers that are hard to cause
//! there, terminals, and the user's files.

mod fake_api;
mod lists;
mod lookup;
mod overview;
mod profiles;
mod redelivery;
mod terminal;
mod tool;
mod verify;
mod webhooks;
