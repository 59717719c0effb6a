//! Examples of whole objects for the OpenAPI document.
//!
//! An example that is built field by field can be impossible as a whole, such as an active webhook with a reason why it is
//! disabled. Together the samples tell of one webhook and one event, which are those of [`super::receiver`].

use serde_json::{Value, json};

use super::receiver::{self, EVENT_ID, SIGNATURE, TIMESTAMP};

const WEBHOOK_ID: &str = "9e21c694-ee9e-48a7-b016-522fd8ef08c1";
const JOB_ID: &str = "5f0c7d1e-0d2c-4bb0-9a54-0f3c2f0a1b2c";
const TOKEN_ID: &str = "3b0f6f0a-51c4-4c0e-8a4d-6f1f4b0d2a11";
const SUPPORT_TOKEN_ID: &str = "c0a3c1f4-6a0e-4b7e-9a55-2f6d1f7a9e30";
const ATTEMPT_ID: &str = "01F2SFW32CT8KZXDWG4JTG9WPT";
const TYPE: &str = "NOTIFICATION.SMS.RECEIPT";
const ENDPOINT: &str = "https://example.com/my/webhook/endpoint";
/// When the event happened.
const CREATED: &str = "2021-04-08T19:36:02.938Z";
/// When the platform received the event.
const RECEIVED: &str = "2021-04-08T19:36:02.951Z";
/// When its attempt started.
const STARTED: &str = "2021-04-08T19:36:03.018Z";
/// When the webhook, the brand and the token were created.
const EARLIER: &str = "2021-03-01T09:00:00.000Z";
/// When the webhook was disabled, in the examples in which it is.
const DISABLED: &str = "2021-04-08T20:31:10.402Z";
/// Secret of the test vectors of Standard Webhooks.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Adds the fields of `more` to an object, or replaces them.
fn with(mut object: Value, more: Value) -> Value {
    if let (Some(fields), Value::Object(more)) = (object.as_object_mut(), more) {
        fields.extend(more);
    }
    object
}

/// Data of the example of the type in the catalogue.
fn data() -> Value {
    serde_json::from_str(receiver::DATA).expect("the example is JSON")
}

/// The event as its producer publishes it.
pub(crate) fn new_event() -> Value {
    json!({"type": TYPE, "key": "order-4711", "data": data()})
}

/// An active webhook that is healthy.
pub(crate) fn webhook() -> Value {
    json!({
        "id": WEBHOOK_ID, "brandId": "acme", "endpoint": ENDPOINT, "events": [TYPE], "enabled": true,
        "status": "active", "disabled": null, "description": "Orders of the shop", "headers": {"x-source": "(hidden)"},
        "maxConcurrency": 10, "ratePerSecond": null, "health": health_state(), "created": EARLIER, "updated": EARLIER,
    })
}

/// The webhook after support disabled it.
pub(crate) fn disabled_webhook() -> Value {
    let disabled = json!({"reason": "support", "detail": "The owner asked for it.", "at": DISABLED});
    let health = json!({"state": "disabled", "since": DISABLED, "successRate": 0.9975, "disablesAt": null});
    let changed = json!({
        "enabled": false, "status": "disabled", "disabled": disabled, "health": health, "updated": DISABLED,
    });
    with(webhook(), changed)
}

/// The webhook while its endpoint is down.
pub(crate) fn failing_webhook() -> Value {
    let health = json!({
        "state": "failing", "since": "2021-04-08T19:41:00.000Z", "successRate": 0.62, "disablesAt": DISABLED,
    });
    with(webhook(), json!({"health": health}))
}

/// Why the platform disabled a webhook.
pub(crate) fn disabled() -> Value {
    let detail = "10 deliveries in a row failed with no attempt in between that succeeded (the limit is 10).";
    json!({"reason": "unresponsive", "detail": detail, "at": DISABLED})
}

/// The state of the healthy webhook.
pub(crate) fn health_state() -> Value {
    json!({"state": "healthy", "since": null, "successRate": 0.9975, "disablesAt": null})
}

/// The failure counts of the healthy webhook, with the rule.
pub(crate) fn health() -> Value {
    let failed_at = "2021-04-08T19:12:44.310Z";
    json!({
        "windowSeconds": 3600, "attempts": 412, "failures": 1, "firstFailure": failed_at, "lastFailure": failed_at,
        "failedInRow": 0, "rule": health_rule(),
    })
}

/// The rule with its defaults.
pub(crate) fn health_rule() -> Value {
    json!({"minAttempts": 50, "failureRate": 0.9, "spanSeconds": 3000, "failedDeliveries": 10})
}

/// The webhook when it was created: nothing was attempted yet.
pub(crate) fn created_webhook() -> Value {
    let health = json!({"state": "idle", "since": EARLIER, "successRate": null, "disablesAt": null});
    with(webhook(), json!({"secret": SECRET, "health": health}))
}

/// The secret of the webhook, which was never rotated.
pub(crate) fn secret() -> Value {
    json!({"secret": SECRET, "headers": {"x-source": "shop"}, "previousExpires": null, "rotated": null})
}

/// The secret after a rotation with the default overlap.
pub(crate) fn rotated_secret() -> Value {
    json!({"secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "previousExpires": "2021-04-09T19:36:02.938Z"})
}

/// Statistics of five minutes.
pub(crate) fn stats() -> Value {
    let from = "2021-04-08T19:35:00.000Z";
    json!({"from": from, "to": "2021-04-08T19:40:00.000Z", "stepSeconds": 300.0, "items": [stats_step()]})
}

/// Statistics of one time bucket.
pub(crate) fn stats_step() -> Value {
    json!({
        "at": "2021-04-08T19:35:00.000Z", "attempts": 34, "outcomes": {"delivered": 33, "http_status": 1},
        "events": {"delivered": 33, "failed": 0}, "latencyMs": {"p50": 61.0, "p90": 118.0, "p99": 240.0},
    })
}

/// The delivery of the event, which succeeded.
pub(crate) fn delivery() -> Value {
    json!({
        "status": "delivered", "attempts": 1, "lastAttemptAt": STARTED, "nextAttemptAt": null, "lastError": null,
    })
}

/// The event as its webhook got it.
pub(crate) fn event() -> Value {
    json!({
        "id": EVENT_ID, "brandId": "acme", "webhookId": WEBHOOK_ID, "created": CREATED, "type": TYPE, "data": data(),
        "delivery": delivery(),
    })
}

/// The attempt that delivered the event.
pub(crate) fn attempt() -> Value {
    json!({
        "attemptId": ATTEMPT_ID, "startedAt": STARTED, "durationMs": 84, "outcome": "delivered", "statusCode": 200,
        "error": null, "responseBody": "ok", "trigger": "fresh",
    })
}

/// The attempt with its request and its response.
pub(crate) fn exchange() -> Value {
    let more = json!({
        "request": exchange_request(), "response": exchange_response(), "timing": exchange_timing(),
        "remoteAddress": "203.0.113.9:443", "tls": exchange_tls(), "location": null,
    });
    with(attempt(), more)
}

/// The request of the attempt.
pub(crate) fn exchange_request() -> Value {
    let body = receiver::example_body();
    let headers = json!([
        ["x-source", "(hidden)"],
        ["content-type", "application/json"],
        ["webhook-id", EVENT_ID],
        ["webhook-timestamp", TIMESTAMP.to_string()],
        ["webhook-signature", SIGNATURE],
        ["accept", "*/*"],
        ["user-agent", receiver::USER_AGENT],
        ["host", "example.com"],
        ["content-length", body.len().to_string()],
    ]);
    json!({
        "sent": true, "method": "POST", "url": ENDPOINT, "urlTruncated": false, "headers": headers, "body": body,
        "bodyUnavailable": null,
    })
}

/// The response to the attempt.
pub(crate) fn exchange_response() -> Value {
    let headers = json!([["content-type", "text/plain"], ["content-length", "2"]]);
    json!({"status": 200, "headers": headers, "headersTruncated": false, "body": "ok", "bodyTruncated": false})
}

/// The phases of the attempt, on a new connection.
pub(crate) fn exchange_timing() -> Value {
    json!({"dnsMs": 4, "connectMs": 18, "tlsMs": 25, "firstByteMs": 36, "reusedConnection": false})
}

/// TLS of the attempt's connection.
pub(crate) fn exchange_tls() -> Value {
    json!({"version": "TLS 1.3", "problem": null})
}

/// The event in the list of its brand.
pub(crate) fn brand_event() -> Value {
    json!({
        "id": EVENT_ID, "type": TYPE, "created": CREATED, "received": RECEIVED, "key": "order-4711",
        "disposition": "routed", "detail": null, "test": false,
    })
}

/// The event in lists of all brands.
pub(crate) fn any_brand_event() -> Value {
    with(brand_event(), json!({"brandId": "acme"}))
}

/// The event at each webhook of its brand.
pub(crate) fn event_lookup() -> Value {
    with(brand_event(), json!({"data": data(), "duplicates": 0, "webhooks": [event_at_webhook()]}))
}

/// The event at the webhooks of its brand, for support.
pub(crate) fn any_event_lookup() -> Value {
    with(event_lookup(), json!({"brandId": "acme", "others": []}))
}

/// The event at the webhook that received it.
pub(crate) fn event_at_webhook() -> Value {
    json!({
        "webhookId": WEBHOOK_ID, "endpoint": ENDPOINT, "description": "Orders of the shop", "status": "active",
        "result": "delivered", "detail": "Delivered at 2021-04-08 19:36:03 UTC after 1 attempt.", "since": null,
        "ahead": null, "nextAttemptAt": null, "delivery": delivery(),
    })
}

/// A job that redelivers the failed events of two hours, under way.
pub(crate) fn redelivery_job() -> Value {
    json!({
        "id": JOB_ID, "brandId": "acme", "webhookId": WEBHOOK_ID, "trigger": "redeliver",
        "from": "2021-04-08T19:00:00.000Z", "to": "2021-04-08T21:00:00.000Z", "status": "failed", "type": null,
        "state": "running", "actor": token_actor(), "total": 128, "more": false, "attempted": 41, "delivered": 40,
        "created": "2021-04-08T21:04:17.220Z", "updated": "2021-04-08T21:04:21.803Z",
    })
}

/// The job when it was created.
pub(crate) fn queued() -> Value {
    json!({"jobId": JOB_ID, "queued": 128})
}

fn token_actor() -> String {
    format!("token:{TOKEN_ID} production")
}

/// The owner of the token.
pub(crate) fn me() -> Value {
    json!({"role": "write", "brandId": "acme", "name": "production", "exchange": "postrider.events"})
}

/// A brand without quotas.
pub(crate) fn brand() -> Value {
    let none = Value::Null;
    json!({
        "brandId": "acme", "name": "Acme", "contact": contact(),
        "eventTypes": [{"typeOrGroup": "NOTIFICATION", "enabled": true}],
        "quotas": {"eventsPerSecond": none, "bytesPerSecond": none, "deliveriesPerSecond": none, "waitingBytes": none},
        "waiting": {"events": 0, "bytes": 0, "since": none}, "created": EARLIER, "updated": EARLIER,
    })
}

/// The contact of the brand.
pub(crate) fn contact() -> Value {
    json!({"name": "Ada", "email": "ops@example.com"})
}

/// A token without an expiry.
pub(crate) fn token() -> Value {
    json!({
        "id": TOKEN_ID, "name": "production", "role": "write", "created": EARLIER,
        "lastUsedAt": "2021-04-08T19:36:00.000Z", "expires": null,
    })
}

/// A token that was just created.
pub(crate) fn created_token() -> Value {
    with(token(), json!({"lastUsedAt": null, "token": "pr_TOKEN"}))
}

/// A named token of support.
pub(crate) fn support_token() -> Value {
    json!({
        "id": SUPPORT_TOKEN_ID, "name": "Ada", "created": EARLIER, "lastUsedAt": "2021-04-08T19:36:00.000Z",
        "expires": null,
    })
}

/// A named token of support that was just created.
pub(crate) fn created_support_token() -> Value {
    with(support_token(), json!({"lastUsedAt": null, "token": "prs_TOKEN"}))
}

/// The type of the example in the catalogue.
pub(crate) fn event_type() -> Value {
    let schema = json!({"type": "object", "required": ["phoneNumber", "message"]});
    json!({
        "type": TYPE, "description": "An SMS message was received.", "schema": schema, "enforceSchema": false,
        "example": data(), "builtIn": false, "created": EARLIER, "updated": EARLIER,
    })
}

/// The type with its enablement.
pub(crate) fn offered_type() -> Value {
    with(event_type(), json!({"enabled": true}))
}

/// The entry about a webhook that was resumed.
pub(crate) fn audit_entry() -> Value {
    let of = |status: &str| {
        let state = with(webhook(), json!({"enabled": status == "active", "status": status}));
        let Value::Object(mut fields) = state else { unreachable!("a webhook is an object") };
        // The audit has no health.
        fields.remove("health");
        fields
    };
    json!({
        "id": "7c0d1f57-0f0a-4f0e-9d35-6a3f6b1c2d3e", "at": CREATED, "actor": token_actor(), "action": "webhook.change",
        "brandId": "acme", "subject": WEBHOOK_ID, "before": of("paused"), "after": of("active"), "outcome": "done",
    })
}

/// The failing webhook in the overview.
pub(crate) fn attention() -> Value {
    json!({
        "webhook": failing_webhook(),
        "brand": {"brandId": "acme", "name": "Acme", "contact": contact()},
        "waiting": {"deliveries": 12, "more": false, "oldest": "2021-04-08T20:01:10.402Z"},
    })
}

/// The deliveries that wait for the failing webhook.
pub(crate) fn waiting() -> Value {
    json!({
        "deliveries": 12, "more": false, "oldest": "2021-04-08T20:01:10.402Z", "oldestBrandId": "acme",
        "oldestWebhookId": WEBHOOK_ID,
    })
}

/// A job that republishes rejected messages, under way.
pub(crate) fn rejected_job() -> Value {
    json!({
        "id": JOB_ID, "action": "republish", "brandId": "acme", "reason": "unknown_type", "type": "ORDER.PAID",
        "state": "running", "done": 17, "total": 42, "created": CREATED, "updated": "2021-04-08T19:36:04.120Z",
        "actor": "support",
    })
}

/// The rejected messages of a brand, a reason and a type.
pub(crate) fn rejected_group() -> Value {
    json!({
        "brandId": "acme", "reason": "unknown_type", "type": "ORDER.PAID", "messages": 42, "bytes": 11340,
        "first": "2021-04-08T18:02:11.370Z", "last": RECEIVED,
    })
}

/// A rejected message.
pub(crate) fn rejected() -> Value {
    let body = r#"{"id":"01F2SFVYVD0H873S2VRT8VQSPM","brandId":"acme","type":"ORDER.PAID","data":{}}"#;
    json!({
        "reason": "unknown_type", "detail": "the catalogue has no type ORDER.PAID; support adds types", "brandId": "acme",
        "type": "ORDER.PAID", "rejectedAt": RECEIVED, "messageId": null, "body": body, "bodyEncoding": "utf-8",
        "bytes": body.len(),
    })
}
