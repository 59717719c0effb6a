//! The examples of the OpenAPI document: each is possible.

use std::num::NonZeroU32;

use serde_json::{Value, json};

use crate::support::{Caller, app};

/// The document does not need the database.
async fn load_document() -> Value {
    let app = app("postgres://postgres@127.0.0.1:1/nothing", NonZeroU32::new(1000).expect("not zero"));
    Caller::with_support(&app).get("/openapi.json").await.expect(200)
}

/// Lists the errors of an example against its schema.
fn check(document: &Value, name: &str, schema: &Value, example: &Value, errors: &mut Vec<String>) {
    let mut schema = schema.clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::options().build(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
    errors.extend(
        validator.iter_errors(example).map(|error| format!("{name}{}: {error}", error.instance_path())),
    );
}

/// Lists name and content of each body of the document's routes.
fn list_bodies(document: &Value) -> Vec<(String, &Value)> {
    let mut bodies = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let responses = operation["responses"].as_object().into_iter().flatten();
            let responses = responses.map(|(status, response)| (status.as_str(), response));
            for (part, holder) in responses.chain([("request", &operation["requestBody"])]) {
                for content in holder["content"].as_object().into_iter().flat_map(serde_json::Map::values) {
                    bodies.push((format!("{} {path} {part} ", method.to_uppercase()), content));
                }
            }
        }
    }
    bodies
}

#[tokio::test]
async fn every_example_fits_its_schema() {
    let document = load_document().await;
    let mut errors = Vec::new();
    let mut checked = 0;
    for (name, content) in list_bodies(&document) {
        if let Some(example) = content.get("example") {
            check(&document, &name, &content["schema"], example, &mut errors);
            checked += 1;
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        if let Some(example) = schema.get("example") {
            check(&document, name, schema, example, &mut errors);
            checked += 1;
        }
    }
    assert!(errors.is_empty(), "{errors:#?}");
    assert!(checked > 80, "{checked} examples");
}

/// A schema does not say which values belong together.
#[tokio::test]
async fn examples_of_webhooks_and_deliveries_are_possible() {
    let document = load_document().await;
    let example = |name: &str| document["components"]["schemas"][name]["example"].clone();
    let (webhook, created) = (example("Webhook"), example("CreatedWebhook"));
    assert_eq!(
        (&webhook["status"], &webhook["enabled"], &webhook["disabled"]),
        (&json!("active"), &json!(true), &Value::Null)
    );
    assert!(
        created["publicKey"].is_null() && created["signatures"].is_null(),
        "v1 has no public key: {created}"
    );
    let (attempt, delivery) = (example("Attempt"), example("Delivery"));
    assert_eq!((&attempt["outcome"], &attempt["error"]), (&json!("delivered"), &Value::Null));
    assert!(attempt["statusCode"].as_i64().is_some_and(|status| (200..300).contains(&status)), "{attempt}");
    assert_eq!((&delivery["status"], &delivery["lastError"]), (&json!("delivered"), &Value::Null));
    let lookup = example("EventLookup");
    assert_eq!((&lookup["disposition"], &lookup["detail"]), (&json!("routed"), &Value::Null));
    assert!(lookup.get("reason").is_none(), "only a rejected event has a reason: {lookup}");
    let of = |path: &str, status: &str| {
        let path = format!("/v1/{{brandId}}/webhooks/{{webhookId}}/{path}");
        document["paths"][&path]["post"]["responses"][status]["content"]["application/json"]["example"]
            .clone()
    };
    assert_eq!(of("events/{eventId}/redeliver", "202"), json!({"queued": 1}));
    assert!(of("redeliver", "200")["jobId"].is_null() && of("redeliver", "202")["jobId"].is_string());
}
