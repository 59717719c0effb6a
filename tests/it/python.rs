//! Published libraries work unchanged: `pika` as a producer, `standardwebhooks` as a verifier.

use std::path::Path;
use std::process::{Command, Stdio};

use e2e::event::Event;
use serde_json::json;

use crate::Stage;

/// The interpreter of the environment with tests/python/requirements.txt.
pub(crate) fn interpreter() -> std::ffi::OsString {
    std::env::var_os("E2E_PYTHON").filter(|path| !path.is_empty()).unwrap_or_else(|| {
        panic!(
            "E2E_PYTHON is not set. Run deploy/test, which prepares it, or make it by hand: \
             python3 -m venv DIR && DIR/bin/pip install -r tests/python/requirements.txt, \
             then set E2E_PYTHON=DIR/bin/python3"
        )
    })
}

/// Runs a script with JSON on its standard input, and returns its output as JSON.
pub(crate) fn run_script(script: &str, input: &serde_json::Value) -> serde_json::Value {
    use std::io::Write;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("python").join(script);
    let mut child = Command::new(interpreter())
        .arg(path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3");
    child.stdin.take().expect("a pipe").write_all(input.to_string().as_bytes()).expect("the script reads");
    let output = child.wait_with_output().expect("python3");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_from_pika_verifies_with_standardwebhooks() {
    let stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let with_id = Event::sms("acme").data(r#"{"amount":1.10,"big":12345678901234567890}"#);
    let named = Event::sms("acme").message_id("pika-1");
    for event in [&with_id, &named] {
        let published = run_script(
            "publish.py",
            &json!({
                "amqpUrl": stage.platform.amqp_url(),
                "exchange": format!("{}.events", stage.platform.namespace),
                "routingKey": event.event_type,
                "body": event.body(),
                "messageId": event.message_id,
            }),
        );
        assert_eq!(published, json!({"confirmed": true}));
    }

    for request in endpoint.wait_for_requests(2).await {
        let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let headers: serde_json::Map<_, _> =
            headers.iter().map(|name| ((*name).to_owned(), json!(request.header(name)))).collect();
        let verified = |body: &str| json!({"secret": webhook.secret, "headers": headers, "body": body});
        assert_eq!(run_script("verify.py", &verified(request.text())), json!({"verified": true}));
        let altered = request.text().replace("acme", "acne");
        assert_eq!(run_script("verify.py", &verified(&altered)), json!({"verified": false}));
    }
    endpoint.wait_for_event(with_id.id()).await;
}
