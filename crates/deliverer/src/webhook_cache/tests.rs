//! Tests of the cache without a database.

use domain::webhook::signature::{Keys, Secret};
use uuid::Uuid;

use super::*;

/// A webhook with the secret of the documentation's example.
pub(crate) fn webhook(id: u128) -> WebhookConfig {
    let keys = Keys { secret: Secret::from_bytes(vec![7; 32]), signing_key: None };
    WebhookConfig {
        id: WebhookId(Uuid::from_u128(id)),
        brand_id: "acme".parse().expect("a brand"),
        endpoint: Endpoint::from_stored("https://example.com/hook").expect("an endpoint"),
        headers: HeaderMap::new(),
        status: WebhookStatus::Active,
        generation: 1,
        closed_generation: 1,
        closes_as: DeliveryStatus::Discarded,
        limits: Limits::new(10, None),
        signers: keys.signers().collect(),
        previous_signers: None,
    }
}

fn id(number: u128) -> WebhookId {
    WebhookId(Uuid::from_u128(number))
}

#[test]
fn a_webhook_stays_until_it_is_deleted_and_its_generations_are_closed() {
    let mut webhooks = Webhooks::default();
    assert!(matches!(webhooks.find(id(1)), CachedWebhook::Gone));
    webhooks.insert(webhook(1));
    assert!(matches!(webhooks.find(id(1)), CachedWebhook::Known(_)));
    let deleted = |closed_generation| WebhookConfig {
        status: WebhookStatus::Deleted,
        generation: 2,
        closed_generation,
        ..webhook(1)
    };
    webhooks.insert(deleted(1));
    let open = webhooks.find(id(1)).config().expect("its deliveries are not closed yet");
    assert!(open.has_open_generations() && open.is_deleted());
    webhooks.insert(deleted(2));
    assert!(matches!(webhooks.find(id(1)), CachedWebhook::Gone));
}

#[test]
fn an_unreadable_webhook_is_not_served_from_what_was_known_before() {
    let mut webhooks = Webhooks::default();
    webhooks.insert(webhook(1));
    webhooks.set_unreadable(id(1));
    assert!(matches!(webhooks.find(id(1)), CachedWebhook::Unreadable));
    assert!(webhooks.known.is_empty());
    webhooks.insert(webhook(1));
    assert!(matches!(webhooks.find(id(1)), CachedWebhook::Known(_)) && webhooks.unreadable.is_empty());
}

#[test]
fn the_view_holds_all_that_decides_about_a_delivery() {
    let disabled =
        WebhookConfig { status: WebhookStatus::Disabled, closes_as: DeliveryStatus::Held, ..webhook(1) };
    let view = CachedWebhook::Known(Arc::new(disabled)).view();
    let expected = WebhookView::Known {
        generation: 1,
        closed_generation: 1,
        status: WebhookStatus::Disabled,
        closes_as: DeliveryStatus::Held,
    };
    assert_eq!(view, expected);
    assert_eq!(CachedWebhook::Unreadable.view(), WebhookView::Unreadable);
    assert_eq!(CachedWebhook::Gone.view(), WebhookView::Gone);
}
