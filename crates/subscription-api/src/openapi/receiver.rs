//! The section `webhooks` of the document: the request that endpoints receive.

use serde_json::{Value, json};

/// Name of the section's only entry.
pub(crate) const NAME: &str = "event";
/// Name of the schema of the request body.
pub(crate) const SCHEMA: &str = "EventRequest";

pub(super) const EVENT_ID: &str = "01F2SFVYVD0H873S2VRT8VQSPM";
pub(super) const TIMESTAMP: i64 = 1_617_910_563;
/// Signature of the example with the first secret of the test vectors of Standard Webhooks.
pub(super) const SIGNATURE: &str = "v1,BruZ0OlpWaD/zgqCsFE17gnYrEapUnkPk+BCpHX7LUc=";
/// The header `user-agent` of every request.
pub(super) const USER_AGENT: &str = concat!("Postrider/", env!("CARGO_PKG_VERSION"));
/// Data of the example: the example of the type in the catalogue.
pub(super) const DATA: &str =
    r#"{"phoneNumber":"+1234456789","message":"I am an SMS message","locale":"en-US"}"#;

const DESCRIPTION: &str = "Postrider sends each event to the endpoint of every webhook that subscribes to its type. Respond with a \
    2xx status within 15 seconds, and process the event afterwards.\n\n\
    Verify the signature over the raw body with a library of [Standard Webhooks](/docs/quickstart), and ignore an event \
    whose `id` you have already processed, because an event may arrive more than once and in any order. `data` is the \
    producer's JSON, byte for byte. Custom headers of the webhook come with every request.";

const RETRY_AFTER: &str = "The attempt failed. With `Retry-After`, which is a number of seconds or an HTTP date, the next attempt \
    waits at least that long. If that is later than one hour after the first attempt, the delivery ends as `failed`.";

/// Returns the section.
pub(crate) fn section() -> Value {
    json!({NAME: {"post": {
        "operationId": "receiveEvent",
        "summary": "An event",
        "description": DESCRIPTION,
        "tags": ["webhooks"],
        "security": [],
        "parameters": [
            header("webhook-id", "The `id` of the event, the same on every attempt", &json!({"type": "string"}), &json!(EVENT_ID)),
            header("webhook-timestamp", "Time of this attempt in Unix seconds; refuse a request that is more than five minutes off", &json!({"type": "integer"}), &json!(TIMESTAMP)),
            header("webhook-signature", "One signature or several, separated by spaces: `v1,` and the base64 of the HMAC-SHA256 of `{webhook-id}.{webhook-timestamp}.{raw body}`. The key is the secret after `whsec_`, decoded from base64. One valid signature is enough. A webhook with `v1a` also gets `v1a,` and an [Ed25519 signature](/docs/endpoints#verify-with-a-public-key) of the same text", &json!({"type": "string"}), &json!(SIGNATURE)),
            header("user-agent", "`Postrider/` and the version", &json!({"type": "string"}), &json!(USER_AGENT)),
        ],
        "requestBody": {
            "required": true,
            "content": {"application/json": {
                "schema": {"$ref": format!("#/components/schemas/{SCHEMA}")},
                "example": example(),
            }},
        },
        "responses": {
            "2XX": {"description": "The event is delivered."},
            "410": {"description": "The endpoint is gone: the webhook is disabled at once."},
            "429": {"description": RETRY_AFTER},
            "503": {"description": RETRY_AFTER},
            "default": {"description": "The attempt failed and is retried for one hour. Redirects are not followed."},
        },
    }}})
}

fn header(name: &str, description: &str, schema: &Value, example: &Value) -> Value {
    json!({"name": name, "in": "header", "required": true, "description": description, "schema": schema, "example": example})
}

/// Returns the schema of the request body.
pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "The body of a request to an endpoint: these seven fields, in the order of the example.",
        "required": ["id", "brandId", "webhookId", "attemptId", "created", "type", "data"],
        "properties": {
            "id": {"type": "string", "description": "ULID of the event, the same on every attempt", "example": EVENT_ID},
            "brandId": {"type": "string", "description": "Id of your brand", "example": "acme"},
            "webhookId": {"type": "string", "format": "uuid", "description": "Id of the webhook"},
            "attemptId": {"type": "string", "description": "ULID of this attempt", "example": "01F2SFW32CT8KZXDWG4JTG9WPT"},
            "created": {"type": "string", "format": "date-time", "description": "When the event happened"},
            "type": {"type": "string", "description": "Event type", "example": "NOTIFICATION.SMS.RECEIPT"},
            "data": {"description": "Any JSON, as the producer published it"},
        },
    })
}

/// Returns the example of the body, as a document without order.
fn example() -> Value {
    serde_json::from_str(&example_body()).expect("the example is JSON")
}

/// Returns the example of the body, byte for byte.
pub(crate) fn example_body() -> String {
    format!(
        r#"{{"id":"{EVENT_ID}","brandId":"acme","webhookId":"9e21c694-ee9e-48a7-b016-522fd8ef08c1","attemptId":"01F2SFW32CT8KZXDWG4JTG9WPT","created":"2021-04-08T19:36:02.938Z","type":"NOTIFICATION.SMS.RECEIPT","data":{DATA}}}"#
    )
}

#[cfg(test)]
mod tests {
    use domain::delivery::envelope::{EventHead, encode_envelope};
    use domain::webhook::signature::{Secret, Signer};

    use super::*;

    #[test]
    fn example_is_a_request_of_the_deliverer() {
        let body = example();
        let text = |field: &str| body[field].as_str().expect("text").to_owned();
        let head = EventHead {
            id: text("id").parse().expect("a ULID"),
            brand_id: text("brandId").parse().expect("a brand"),
            created: domain::time::parse_timestamp(&text("created")).expect("a time"),
            event_type: text("type").parse().expect("a type"),
        };
        let webhook = text("webhookId").parse().expect("a UUID");
        let attempt = text("attemptId").parse().expect("a ULID");
        let sent = encode_envelope(&head, webhook, attempt, DATA);
        assert_eq!(String::from_utf8(sent).expect("UTF-8"), example_body());
        let mut required: Vec<String> = schema()["required"]
            .as_array()
            .expect("fields")
            .iter()
            .map(|it| it.as_str().expect("a name").to_owned())
            .collect();
        required.sort();
        let fields: Vec<String> = body.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(fields, required);
    }

    #[test]
    fn signature_of_the_example_is_genuine() {
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().expect("a secret");
        let signature = Signer::new(&secret).sign(EVENT_ID, TIMESTAMP, example_body().as_bytes());
        assert_eq!(signature, SIGNATURE);
    }
}
