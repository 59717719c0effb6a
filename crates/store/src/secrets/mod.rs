//! Webhook secrets at rest: the keyring that encrypts them, and encrypting them again after a key change.

pub mod keyring;
pub mod reencrypt;
