//! The documents of the API (OpenAPI, documentation), and its responses to unknown paths.

use std::num::NonZeroU32;

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{TestApi, app};

#[tokio::test]
async fn the_document_lists_every_route_with_its_responses() {
    let api = TestApi::new().await;
    let document = api.anonymous().get("/openapi.json").await;
    assert_eq!(document.headers["content-type"], "application/json");
    let document = document.expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(
        document["components"]["securitySchemes"]["bearer"],
        json!({"type": "http", "scheme": "bearer"})
    );
    let mut listed: Vec<String> = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            listed.push(format!("{} {path}", method.to_uppercase()));
            check_operation(&document, path, operation);
        }
    }
    listed.sort();
    let mut expected: Vec<String> = ROUTES.iter().map(|route| (*route).to_owned()).collect();
    expected.sort();
    assert_eq!(listed, expected);
    api.drop_database().await;
}

const ROUTES: &[&str] = &[
    "GET /v1/me",
    "POST /v1/{brandId}/webhooks",
    "GET /v1/{brandId}/webhooks",
    "GET /v1/{brandId}/webhooks/{webhookId}",
    "PATCH /v1/{brandId}/webhooks/{webhookId}",
    "DELETE /v1/{brandId}/webhooks/{webhookId}",
    "GET /v1/{brandId}/webhooks/{webhookId}/secret",
    "GET /v1/{brandId}/webhooks/{webhookId}/health",
    "POST /v1/{brandId}/webhooks/{webhookId}/secret/rotate",
    "POST /v1/{brandId}/webhooks/{webhookId}/secret/end-previous",
    "POST /v1/{brandId}/webhooks/{webhookId}/test",
    "GET /v1/{brandId}/webhooks/{webhookId}/stats",
    "GET /v1/{brandId}/webhooks/{webhookId}/events",
    "GET /v1/{brandId}/webhooks/{webhookId}/events/{eventId}",
    "GET /v1/{brandId}/webhooks/{webhookId}/events/{eventId}/attempts",
    "GET /v1/{brandId}/webhooks/{webhookId}/events/{eventId}/attempts/{attemptId}",
    "POST /v1/{brandId}/webhooks/{webhookId}/events/{eventId}/redeliver",
    "POST /v1/{brandId}/webhooks/{webhookId}/redeliver",
    "GET /v1/{brandId}/webhooks/{webhookId}/redeliver",
    "GET /v1/{brandId}/webhooks/{webhookId}/redeliver/{jobId}",
    "DELETE /v1/{brandId}/webhooks/{webhookId}/redeliver/{jobId}",
    "GET /v1/{brandId}/redeliveries",
    "GET /v1/{brandId}/stats",
    "GET /v1/{brandId}/audit",
    "POST /v1/{brandId}/tokens",
    "GET /v1/{brandId}/tokens",
    "DELETE /v1/{brandId}/tokens/{tokenId}",
    "GET /v1/{brandId}/event-types",
    "POST /v1/{brandId}/events",
    "GET /v1/{brandId}/events",
    "GET /v1/{brandId}/events/{eventId}",
    "GET /v1/{brandId}/search",
    "POST /admin/v1/brands",
    "GET /admin/v1/brands",
    "GET /admin/v1/brands/{brandId}",
    "PATCH /admin/v1/brands/{brandId}",
    "PUT /admin/v1/brands/{brandId}/event-types/{typeOrGroup}",
    "DELETE /admin/v1/brands/{brandId}/event-types/{typeOrGroup}",
    "POST /admin/v1/brands/{brandId}/tokens",
    "GET /admin/v1/brands/{brandId}/tokens",
    "DELETE /admin/v1/brands/{brandId}/tokens/{tokenId}",
    "POST /admin/v1/tokens",
    "GET /admin/v1/tokens",
    "DELETE /admin/v1/tokens/{tokenId}",
    "GET /admin/v1/event-types",
    "PUT /admin/v1/event-types/{type}",
    "DELETE /admin/v1/event-types/{type}",
    "GET /admin/v1/webhooks",
    "POST /admin/v1/webhooks/{webhookId}/disable",
    "POST /admin/v1/webhooks/{webhookId}/enable",
    "GET /admin/v1/events/{idOrMessageId}",
    "GET /admin/v1/search",
    "POST /admin/v1/webhooks/{webhookId}/test",
    "GET /admin/v1/redeliveries",
    "GET /admin/v1/overview",
    "GET /admin/v1/rejected",
    "DELETE /admin/v1/rejected",
    "GET /admin/v1/rejected/summary",
    "POST /admin/v1/rejected/republish",
    "GET /admin/v1/rejected/jobs",
    "GET /admin/v1/rejected/jobs/{jobId}",
    "DELETE /admin/v1/rejected/jobs/{jobId}",
    "GET /admin/v1/audit",
];

fn check_operation(document: &Value, path: &str, operation: &Value) {
    let responses = operation["responses"].as_object().expect("responses");
    for status in ["401", "429", "500", "503"] {
        assert!(responses.contains_key(status), "{path} {status}");
    }
    assert!(responses.keys().any(|status| status.starts_with('2')), "{path}");
    for (status, response) in responses.iter().filter(|(status, _)| !status.starts_with('2')) {
        let response = resolve(document, response);
        assert!(response["content"].get("application/problem+json").is_some(), "{path} {status}");
    }
    let in_path = path.matches('{').count();
    let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
    assert_eq!(parameters.iter().filter(|parameter| parameter["in"] == "path").count(), in_path, "{path}");
    if let Some(body) = operation.get("requestBody") {
        for content in body["content"].as_object().expect("content").values() {
            let schema = resolve(document, &content["schema"]);
            let kinds =
                schema["oneOf"].as_array().map_or_else(|| vec![schema], |kinds| kinds.iter().collect());
            for kind in kinds {
                assert_eq!(resolve(document, kind)["additionalProperties"], false, "{path}");
            }
        }
    }
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).expect("a resolvable reference"),
        None => value,
    }
}

/// The fields of a body in the document are exactly the fields that the handler reads.
#[tokio::test]
async fn the_documented_fields_are_the_fields_that_are_read() {
    let api = TestApi::new().await;
    let (acme, webhook) = api.acme().await;
    let id = webhook["id"].as_str().expect("id");
    let support = api.as_support();
    let document = support.get("/openapi.json").await.expect(200);
    for (schema, method, path) in [
        ("NewWebhook", Method::POST, "/v1/acme/webhooks".to_owned()),
        ("WebhookPatch", Method::PATCH, format!("/v1/acme/webhooks/{id}")),
        ("NewBrand", Method::POST, "/admin/v1/brands".to_owned()),
        ("BrandPatch", Method::PATCH, "/admin/v1/brands/acme".to_owned()),
        ("NewToken", Method::POST, "/admin/v1/brands/acme/tokens".to_owned()),
        ("NewSupportToken", Method::POST, "/admin/v1/tokens".to_owned()),
        ("EventTypeDefinition", Method::PUT, "/admin/v1/event-types/A".to_owned()),
        ("Disabling", Method::POST, format!("/admin/v1/webhooks/{id}/disable")),
        ("RedeliveryRange", Method::POST, format!("/v1/acme/webhooks/{id}/redeliver")),
        ("NewEvent", Method::POST, "/v1/acme/events".to_owned()),
    ] {
        let caller = if path.starts_with("/v1") { &acme } else { &support };
        let schema = &document["components"]["schemas"][schema];
        let fields = schema["properties"].as_object().expect("properties");
        // No field accepts this value, so the response names every field that is read and every unknown field.
        let odd: Value = fields
            .keys()
            .map(|field| (field.clone(), json!([[1]])))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let problem = caller.send(method.clone(), &path, Some(&odd)).await.problem(422);
        for error in problem["errors"].as_array().expect("errors") {
            let detail = error["detail"].as_str().expect("detail");
            assert!(!detail.contains("misspelled"), "{path}: {error}");
        }
        if method != Method::PATCH {
            let missing = caller.send(method, &path, Some(&json!({}))).await.pointers();
            let mut required: Vec<_> = schema["required"]
                .as_array()
                .expect("required")
                .iter()
                .map(|field| format!("/{}", field.as_str().expect("name")))
                .collect();
            required.sort();
            assert_eq!(missing, required, "{path}");
        }
    }
    api.drop_database().await;
}

/// The pages of `/docs`, each with a text that it must contain.
const PAGES: [(&str, &str); 18] = [
    ("/docs", "/docs/api"),
    ("/docs/quickstart", "express.raw"),
    ("/docs/checklist", "raw body"),
    ("/docs/troubleshooting", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ("/docs/event-types", "<h2 id=\"webhookdisabled\">"),
    ("/docs/limits", "256 KiB"),
    ("/docs/errors", "<h3 id=\"webhook-disabled\">"),
    ("/docs/versions", "<h2 id=\"deprecation\">"),
    ("/docs/changelog", "For endpoint owners"),
    ("/docs/operate", "/docs/runbook"),
    ("/docs/api", "Redeliver a range of events"),
    ("/docs/first-five-minutes", "deploy/up"),
    ("/docs/endpoints", "webhook-signature"),
    ("/docs/producers", "mandatory"),
    ("/docs/support", "redeliverHeld"),
    ("/docs/operators", "Kubernetes"),
    ("/docs/runbook", "<h3 id=\"postriderdeliverieslate\">"),
    ("/docs/metrics", "postrider_deliveries_due"),
];

#[tokio::test]
async fn the_pages_are_served_and_their_links_work() {
    let api = TestApi::new().await;
    let anyone = api.anonymous();
    for (path, text) in PAGES {
        let page = anyone.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
        assert!(
            page.text.contains(text) && !page.text.contains("{{tabs") && !page.text.contains("{{/tabs"),
            "{path} contains {text}"
        );
        for (attribute, target) in ["href=\"", "src=\""].iter().flat_map(|a| links(&page.text, a)) {
            let local = target.starts_with('/') || target.starts_with('#');
            assert!(local || attribute == "href=\"", "{path} loads {target}");
            if let Some((page, anchor)) = target.split_once('#').filter(|_| local) {
                check_anchor(&anyone, if page.is_empty() { path } else { page }, anchor).await;
            }
            // `/console` is a 404 in a build without the console.
            let ours = |path: &&str| path.starts_with('/') && *path != "/console";
            if let Some(path) = target.split('#').next().filter(ours) {
                assert_eq!(anyone.get(path).await.status, 200, "{path} is linked");
            }
        }
    }
    for (path, media_type) in [
        ("/docs/style.css", "text/css; charset=utf-8"),
        ("/docs/docs.js", "text/javascript; charset=utf-8"),
        ("/docs/icon.svg", "image/svg+xml"),
        ("/favicon.ico", "image/svg+xml"),
    ] {
        assert_eq!(anyone.get(path).await.headers["content-type"], media_type, "{path}");
    }
    anyone.get("/docs/nothing").await.problem(404);
    api.drop_database().await;
}

/// Checks that a link leads to an anchor of a page.
async fn check_anchor(anyone: &crate::support::Caller<'_>, page: &str, anchor: &str) {
    let text = anyone.get(page).await.text;
    assert!(text.contains(&format!(" id=\"{anchor}\"")), "{page} has no #{anchor}");
}

/// The search finds every page and every operation, and each result leads to its section.
#[tokio::test]
async fn the_search_index_leads_to_every_page_and_operation() {
    let api = TestApi::new().await;
    let anyone = api.anonymous();
    let index = anyone.get("/docs/search.json").await.expect(200);
    let targets: Vec<&str> =
        index.as_array().expect("sections").iter().map(|it| it["u"].as_str().expect("a link")).collect();
    let document = anyone.get("/openapi.json").await.expect(200);
    for item in document["paths"].as_object().expect("paths").values() {
        for operation in item.as_object().expect("methods").values() {
            let target = format!("/docs/api#{}", operation["operationId"].as_str().expect("an id"));
            assert!(targets.contains(&target.as_str()), "{target}");
        }
    }
    let mut pages = std::collections::BTreeMap::new();
    for target in targets {
        let (page, anchor) = target.split_once('#').expect("an anchor");
        if !pages.contains_key(page) {
            pages.insert(page, anyone.get(page).await.text);
        }
        assert!(pages[page].contains(&format!(" id=\"{anchor}\"")), "{target}");
    }
    for (path, _) in PAGES {
        let page = if path == "/docs" { "/docs/" } else { path };
        assert!(pages.contains_key(page), "{page} is in the index");
    }
    api.drop_database().await;
}

/// The page of event types shows the catalogue of a fresh installation.
#[tokio::test]
async fn the_page_of_event_types_shows_the_catalogue() {
    const PAGE: &str = include_str!("../../docs/event-types.md");
    let api = TestApi::new().await;
    let catalogue = api.as_support().get("/admin/v1/event-types").await.expect(200);
    for entry in catalogue["items"].as_array().expect("items") {
        let name = entry["type"].as_str().expect("a name");
        let (_, section) =
            PAGE.split_once(&format!("\n## {name}\n")).unwrap_or_else(|| panic!("{name} has a section"));
        let section = section.split("\n## ").next().expect("a text");
        let example =
            section.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
        assert_eq!(serde_json::from_str::<Value>(example).expect("JSON"), entry["example"], "{name}");
        let required = entry["schema"]["required"].as_array().expect("required");
        for (field, _) in entry["schema"]["properties"].as_object().expect("properties") {
            let mark = if required.contains(&json!(field)) { "string, required" } else { "string" };
            assert!(section.contains(&format!("| `{field}` | {mark} |")), "{name}: {field}");
        }
    }
    api.drop_database().await;
}

/// Every operation is described and shown by example. An example has real values, which come from the examples of the
/// fields or from the names of the fields.
#[tokio::test]
async fn every_operation_has_a_description_and_examples() {
    let api = TestApi::new().await;
    let document = api.anonymous().get("/openapi.json").await.expect(200);
    assert_eq!(document["servers"][0]["url"], "/");
    let received = &document["webhooks"]["event"]["post"];
    assert!(received["requestBody"]["content"]["application/json"]["example"]["attemptId"].is_string());
    let mut lacking: Vec<String> = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let found = lacks(operation);
            lacking.extend(
                found.into_iter().map(|what| format!("{} {path} lacks {what}", method.to_uppercase())),
            );
        }
    }
    assert!(lacking.is_empty(), "{lacking:#?}");
    api.drop_database().await;
}

/// Lists the parts that an operation lacks.
fn lacks(operation: &Value) -> Vec<String> {
    let mut lacking = Vec::new();
    for field in ["summary", "description"] {
        if operation[field].as_str().is_none_or(|text| text.trim().len() < 3) {
            lacking.push(format!("a {field}"));
        }
    }
    let responses = operation["responses"].as_object().into_iter().flatten();
    let successful = responses.filter(|(status, _)| status.starts_with('2'));
    let bodies = successful.map(|(status, response)| (format!("response {status}"), response));
    for (what, holder) in bodies.chain([("the request".to_owned(), &operation["requestBody"])]) {
        for content in holder["content"].as_object().into_iter().flat_map(serde_json::Map::values) {
            match content.get("example") {
                None => lacking.push(format!("an example of {what}")),
                Some(example) => find_placeholders(example, &what, &mut lacking),
            }
        }
    }
    lacking
}

/// Finds values that stand for a field without an example.
fn find_placeholders(example: &Value, path: &str, lacking: &mut Vec<String>) {
    match example {
        Value::String(text) if text == "string" => lacking.push(format!("an example of the field {path}")),
        Value::Array(items) => items.iter().for_each(|item| find_placeholders(item, path, lacking)),
        Value::Object(fields) => {
            for (name, value) in fields {
                find_placeholders(value, &format!("{path}/{name}"), lacking);
            }
        }
        _ => {}
    }
}

fn links<'a>(html: &'a str, attribute: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    html.split(attribute).skip(1).filter_map(move |rest| Some((attribute, rest.split_once('"')?.0)))
}

#[tokio::test]
async fn an_unknown_path_or_method_is_a_problem() {
    let api = TestApi::new().await;
    let anyone = api.anonymous();
    for path in [
        "/",
        "/v1",
        "/v1/acme",
        "/v1/acme/webhooks/",
        "/v2/acme/webhooks",
        "/healthz",
        "/%ff",
        "/v1/%ff/nothing",
    ] {
        anyone.get(path).await.problem(404);
    }
    api.as_support().get("/v1/%ff/webhooks").await.problem(404);
    for (method, path) in [
        (Method::DELETE, "/v1/acme/webhooks"),
        (Method::PUT, "/v1/acme/webhooks"),
        (Method::POST, "/openapi.json"),
    ] {
        let answer = anyone.send(method, path, None).await;
        assert!(answer.headers["allow"].to_str().is_ok_and(|allow| allow.contains("GET")));
        assert_eq!(answer.headers["cache-control"], "no-store");
        answer.problem(405);
    }
    api.drop_database().await;
}

#[tokio::test]
async fn without_its_database_the_api_responds_503_with_retry_after() {
    let app = app("postgres://postgres@127.0.0.1:1/nothing", NonZeroU32::new(1000).expect("not zero"));
    let api = crate::support::Caller::with_support(&app);
    let answer = api.get("/admin/v1/brands").await;
    assert!(answer.headers["retry-after"].to_str().is_ok_and(|text| text.parse::<u64>().is_ok()));
    answer.problem(503);
    api.get("/openapi.json").await.expect(200);
}
