//! Sealing the custom headers that the release before wrote in plain text.

use domain::ids::WebhookId;
use domain::webhook::CustomHeaders;
use domain::webhook::signature::Secret;
use store::routing::configuration::load_delivery_changes;
use store::secrets::headers::seal_plain_headers;
use store::secrets::keyring::SecretKeyring;
use store::secrets::reencrypt;

use crate::reencrypt::create_keyring;
use crate::support::TestStore;

const PLAIN: &str = r#"{"Authorization":"Bearer hush-hush","X-Team":"a"}"#;

fn plain_headers() -> CustomHeaders {
    serde_json::from_str(PLAIN).expect("headers")
}

/// Inserts a webhook of the release before, whose secret is under the key of this keyring.
async fn insert_plain(test: &TestStore, keyring: &SecretKeyring) -> WebhookId {
    let webhook = test.insert_webhook().await;
    let sealed = keyring.seal(&test.brand, webhook, &Secret::generate());
    let update = "UPDATE webhooks SET secret = $2, headers = $3::text::json WHERE id = $1";
    test.sql.execute(update, &[&webhook.0, &sealed, &PLAIN]).await.expect("plain headers");
    webhook
}

/// Returns the headers as a deliverer with this keyring loads them.
async fn load_headers(
    test: &TestStore,
    keyring: &SecretKeyring,
    webhook: WebhookId,
) -> Option<CustomHeaders> {
    let (_, changes) = load_delivery_changes(&test.store, keyring, 0).await.expect("loaded");
    let (_, change) = changes.into_iter().find(|(id, _)| *id == webhook).expect("the webhook");
    change.ok().map(|change| change.headers)
}

async fn count_plain(test: &TestStore) -> i64 {
    test.count_rows("webhooks WHERE headers IS NOT NULL AND headers::text <> '{}'").await
}

#[tokio::test]
async fn plain_headers_are_sealed_once_and_stay_readable() {
    let test = TestStore::new().await;
    let keyring = create_keyring(1, &[]);
    let webhook = insert_plain(&test, &keyring).await;
    let without = test.insert_webhook().await;
    assert_eq!(load_headers(&test, &keyring, webhook).await, Some(plain_headers()), "before");

    assert_eq!(seal_plain_headers(&test.store, &keyring).await.expect("sealed"), 1);
    assert_eq!(seal_plain_headers(&test.store, &keyring).await.expect("again"), 0);

    assert_eq!(load_headers(&test, &keyring, webhook).await, Some(plain_headers()), "after");
    let find = "SELECT headers::text, sealed_headers, header_names FROM webhooks WHERE id = $1";
    let row = test.sql.query_one(find, &[&webhook.0]).await.expect("a row");
    assert_eq!(row.get::<_, Option<String>>(0), None);
    assert!(!row.get::<_, Vec<u8>>(1).windows(9).any(|part| part == b"hush-hush"));
    assert_eq!(row.get::<_, Vec<String>>(2), ["Authorization", "X-Team"]);
    let row = test.sql.query_one(find, &[&without.0]).await.expect("a row");
    assert_eq!(row.get::<_, Option<String>>(0).as_deref(), Some("{}"), "nothing is hidden");
    test.drop_database().await;
}

/// More webhooks than a page, sealed by two processes at once.
#[tokio::test]
async fn several_processes_seal_all_headers() {
    let test = TestStore::new().await;
    let keyring = create_keyring(1, &[]);
    for _ in 0..205 {
        insert_plain(&test, &keyring).await;
    }
    let [one, other] = [&test.store, &test.store].map(|store| seal_plain_headers(store, &keyring));
    let (one, other) = tokio::join!(one, other);
    assert_eq!(one.expect("sealed") + other.expect("sealed"), 205);
    assert_eq!(count_plain(&test).await, 0);
    test.drop_database().await;
}

#[tokio::test]
async fn nothing_is_sealed_while_a_process_of_the_release_before_runs() {
    let test = TestStore::new().await;
    let keyring = create_keyring(1, &[]);
    insert_plain(&test, &keyring).await;
    let insert = "INSERT INTO instances (id, service, host, version, last_seen)
                  VALUES (gen_random_uuid(), $1, 'h', '0', now() - $2::bigint * interval '1 second')";
    // An old router reads no headers, and a process that has not been seen for a minute has ended.
    test.sql.execute(insert, &[&"router", &0i64]).await.expect("a router");
    test.sql.execute(insert, &[&"deliverer", &61i64]).await.expect("a dead deliverer");
    for service in ["deliverer", "subscription-api"] {
        test.sql.execute(insert, &[&service, &0i64]).await.expect("an old process");
        assert_eq!(seal_plain_headers(&test.store, &keyring).await.expect("nothing"), 0, "{service}");
        let leave = "DELETE FROM instances WHERE service = $1";
        test.sql.execute(leave, &[&service]).await.expect("it ends");
    }
    assert_eq!(seal_plain_headers(&test.store, &keyring).await.expect("sealed"), 1);
    test.drop_database().await;
}

/// A process with a wrong master key must not make the headers unreadable for the others.
#[tokio::test]
async fn headers_are_sealed_under_the_key_of_their_secret_alone() {
    let test = TestStore::new().await;
    let [right, wrong] = [1, 9].map(|byte| create_keyring(byte, &[]));
    let webhook = insert_plain(&test, &right).await;
    assert_eq!(seal_plain_headers(&test.store, &wrong).await.expect("nothing"), 0);
    // A secret under an old key is for the re-encryption, which seals the headers, too.
    let both = create_keyring(2, &[1]);
    assert_eq!(seal_plain_headers(&test.store, &both).await.expect("nothing"), 0);
    let reencrypted = reencrypt::reencrypt_secrets(&test.store, &both).await.expect("re-encrypted");
    assert_eq!((reencrypted.done, reencrypted.sealed), (1, 1));
    let new = create_keyring(2, &[]);
    assert_eq!(load_headers(&test, &new, webhook).await, Some(plain_headers()));
    assert_eq!(load_headers(&test, &right, webhook).await, None, "the old key reads nothing");
    test.drop_database().await;
}

#[tokio::test]
async fn sealed_headers_are_reencrypted_with_the_secret() {
    let test = TestStore::new().await;
    let old = create_keyring(1, &[]);
    let webhook = insert_plain(&test, &old).await;
    seal_plain_headers(&test.store, &old).await.expect("sealed");
    let both = create_keyring(2, &[1]);
    let reencrypted = reencrypt::reencrypt_secrets(&test.store, &both).await.expect("re-encrypted");
    assert_eq!((reencrypted.done, reencrypted.sealed), (1, 0));
    assert_eq!(load_headers(&test, &create_keyring(2, &[]), webhook).await, Some(plain_headers()));
    test.drop_database().await;
}
