//! Re-encrypting all secrets after a change of the master key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::webhook::signature::Secret;
use domain::webhook::signing_key::SigningKey;
use store::secrets::keyring::{KeyringSettings, SecretKeyring};
use store::secrets::reencrypt;

use crate::support::TestStore;

fn encode_key(byte: u8) -> String {
    STANDARD.encode([byte; 32])
}

pub(crate) fn create_keyring(new: u8, old: &[u8]) -> SecretKeyring {
    let old = old.iter().map(|byte| encode_key(*byte)).collect::<Vec<_>>().join(",");
    let master_key = encode_key(new).parse().expect("a key");
    let old_master_keys = old.parse().expect("keys");
    SecretKeyring::from_settings(&KeyringSettings { master_key, old_master_keys })
}

#[tokio::test]
async fn every_secret_is_reencrypted_and_unreadable_secrets_are_reported_and_kept() {
    let test = TestStore::new().await;
    let old = create_keyring(1, &[]);
    let [secret, previous] = [Secret::generate(), Secret::generate()];
    let webhook = test.insert_webhook().await;
    let seal = |secret| old.seal(&test.brand, webhook, secret);
    let [key, previous_key] = [SigningKey::generate(), SigningKey::generate()];
    let seal_key = |key| old.seal_key(&test.brand, webhook, key);
    let set = "UPDATE webhooks SET secret = $2, previous_secret = $3, previous_secret_expires = now(), \
               signing_key = $4, previous_signing_key = $5 WHERE id = $1";
    let sealed = [seal(&secret), seal(&previous), seal_key(&key), seal_key(&previous_key)];
    test.sql
        .execute(set, &[&webhook.0, &sealed[0], &sealed[1], &sealed[2], &sealed[3]])
        .await
        .expect("sealed");
    let foreign = test.insert_webhook().await;
    let sealed = create_keyring(9, &[]).seal(&test.brand, foreign, &secret);
    test.sql
        .execute("UPDATE webhooks SET secret = $2 WHERE id = $1", &[&foreign.0, &sealed])
        .await
        .expect("sealed");

    let both = create_keyring(2, &[1]);
    let reencrypted = reencrypt::reencrypt_secrets(&test.store, &both).await.expect("re-encrypted");
    assert_eq!((reencrypted.done, reencrypted.unreadable.len()), (1, 1));
    let again = reencrypt::reencrypt_secrets(&test.store, &both).await.expect("nothing left");
    assert_eq!((again.done, again.unreadable.len()), (0, 1));

    let find =
        "SELECT secret, previous_secret, signing_key, previous_signing_key FROM webhooks WHERE id = $1";
    let row = test.sql.query_one(find, &[&webhook.0]).await.expect("a webhook");
    let new = create_keyring(2, &[]);
    let open =
        |column: &str| new.open(&test.brand, webhook, row.get(column)).expect("opens with the new key alone");
    assert_eq!((open("secret"), open("previous_secret")), (secret, previous));
    let open_key = |column: &str| {
        new.open_key(&test.brand, webhook, row.get(column)).expect("opens with the new key alone")
    };
    assert_eq!((open_key("signing_key"), open_key("previous_signing_key")), (key, previous_key));
    test.drop_database().await;
}
