//! Random requests to every route, as the API's own document describes it. schemathesis finds no 5xx, no
//! undocumented status, and no answer that its schema does not allow.

use std::process::{Output, Stdio};

use e2e::brand::Webhook;
use e2e::event::SMS;
use e2e::platform::Platform;
use serde_json::Value;

use crate::Stage;
use crate::python::interpreter;

/// The seed keeps the requests the same each time, so that a failure comes from a change and not from chance.
const SEED: &str = "19325";
/// Maximum of generated requests for each route, in addition to the ones from its constraints.
const EXAMPLES: &str = "6";
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance";

fn env_or(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// The values for the routes' parameters; deletions use another webhook.
fn schemathesis_config(webhook: &Webhook, doomed: &Webhook, event: &str) -> String {
    format!(
        "[parameters]\n\"path.brandId\" = \"acme\"\n\"path.webhookId\" = \"{}\"\n\"path.eventId\" = \"{event}\"\n\n\
         [[operations]]\ninclude-operation-id = \"deleteWebhook\"\nparameters = {{ \"path.webhookId\" = \"{}\" }}\n",
        webhook.id, doomed.id
    )
}

/// Runs schemathesis on this document.
async fn run_schemathesis(stage: &Stage, document: &str, more: &[&str]) -> Output {
    let seed = env_or("E2E_FUZZ_SEED", SEED);
    let examples = env_or("E2E_FUZZ_EXAMPLES", EXAMPLES);
    let platform = &stage.platform;
    tokio::process::Command::new(interpreter())
        .args(["-m", "schemathesis.cli", "--config-file"])
        .arg(platform.dir().join("schemathesis.toml"))
        .args(["run", document, "--url", &format!("http://{}", platform.api_address())])
        .args(["--header", &format!("Authorization: Bearer {}", platform.support_token), "--checks", CHECKS])
        .args(["--seed", &seed, "--max-examples", &examples, "--phases", "examples,coverage,fuzzing"])
        .args(["--generation-database", "none", "--continue-on-failure", "--no-color"])
        .args(["--request-timeout", "30"])
        .args(more)
        .current_dir(platform.dir())
        .stdin(Stdio::null())
        .output()
        .await
        .expect("schemathesis")
}

fn output_text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_gets_a_5xx_or_an_undocumented_answer() {
    let builder = Platform::builder().unlimited_requests().one_attempt().without_health_rule();
    let stage = Stage::with_builder(builder).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let event = stage.deliver_many(&webhook, 1).await.remove(0);
    let doomed = stage.brand.create_webhook(endpoint.url(), &[SMS]).await;
    let file = |name: &str| stage.platform.dir().join(name);
    std::fs::write(file("schemathesis.toml"), schemathesis_config(&webhook, &doomed, event.id()))
        .expect("its settings");
    let mut document = stage.platform.support().get("/openapi.json").await.expect_status(200).json();
    let url = format!("http://{}/openapi.json", stage.platform.api_address());

    let output = run_schemathesis(&stage, &url, &[]).await;

    eprintln!("{}", output_text(&output));
    assert!(output.status.success(), "{}", output_text(&output));
    let paths = document["paths"].as_object().expect("paths").values();
    let routes: usize = paths.filter_map(Value::as_object).map(serde_json::Map::len).sum();
    assert!(
        output_text(&output).contains(&format!("Tested: {routes}")),
        "all {routes} routes: {}",
        output_text(&output)
    );

    // It does detect an undocumented answer.
    let answers = &mut document["paths"]["/v1/{brandId}/webhooks/{webhookId}"]["get"]["responses"];
    assert!(answers.as_object_mut().and_then(|answers| answers.remove("200")).is_some());
    std::fs::write(file("wrong.json"), document.to_string()).expect("a document");
    let wrong = file("wrong.json").display().to_string();
    let output = run_schemathesis(&stage, &wrong, &["--include-operation-id", "readWebhook"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", output_text(&output));
    assert!(output_text(&output).contains("Undocumented status code: 1"), "{}", output_text(&output));
}
