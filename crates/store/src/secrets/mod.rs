//! Webhook secrets and custom headers at rest: the keyring that encrypts them, sealing headers that the release before
//! wrote, and re-encrypting everything after a change of the master key.

pub mod headers;
pub mod keyring;
pub mod reencrypt;
