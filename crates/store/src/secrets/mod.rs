//! Webhook secrets at rest: the keyring that encrypts them, and re-encrypting them after a change of the master key.

pub mod keyring;
pub mod reencrypt;
