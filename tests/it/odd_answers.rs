//! Answers as real endpoints give them: the status decides, whatever surrounds it (contract §3).

use e2e::brand::Webhook;
use e2e::event::{Event, SMS};
use e2e::platform::Platform;
use e2e::wire_server::{End, WireReply, WireServer};
use serde_json::{Value, json};

use crate::Stage;

/// Starts a platform whose first retry comes long after the test, so that each delivery has one attempt.
async fn start_stage() -> Stage {
    Stage::with_builder(Platform::builder().retries("10m").without_health_rule()).await
}

/// Publishes an event with this data and returns its first attempt.
async fn attempt(stage: &Stage, webhook: &Webhook, data: &str) -> Value {
    let event = Event::sms("acme").data(data);
    stage.publish_event(&event).await;
    stage.brand.wait_attempts(webhook, event.id(), 1).await.remove(0)
}

/// Returns the first attempt at an endpoint that always gives this reply.
async fn attempt_with_reply(stage: &Stage, reply: WireReply, data: &str) -> Value {
    let server = WireServer::start(&stage.platform.authority, move |_| reply.clone()).await;
    let webhook = stage.brand.create_webhook(&server.url(), &[SMS]).await;
    let attempt = attempt(stage, &webhook, data).await;
    stage.brand.delete_webhook(&webhook).await;
    attempt
}

/// Asserts that each of these answers is recorded with its status.
async fn assert_statuses(answers: &[(&str, Vec<u8>, u16)]) {
    let stage = start_stage().await;
    let mut wrong = Vec::new();
    for (about, bytes, status) in answers {
        let seen = attempt_with_reply(&stage, WireReply::new(bytes.clone()), "1").await;
        let outcome = if (200..300).contains(status) { "delivered" } else { "http_status" };
        if seen["outcome"] != outcome || seen["statusCode"] != json!(status) {
            wrong.push(format!("{about}: {seen}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// An answer with these header lines and an empty body.
fn with_headers(status_line: &str, headers: impl AsRef<[u8]>) -> Vec<u8> {
    let length = &b"content-length: 0\r\n\r\n"[..];
    [status_line.as_bytes(), b"\r\n", headers.as_ref(), b"\r\n", length].concat()
}

fn many_headers(number: usize) -> String {
    (0..number).map(|n| format!("x-{n}: {n}\r\n")).collect::<String>().trim_end().to_owned()
}

#[tokio::test]
async fn headers_that_a_lenient_client_accepts_do_not_hide_the_status() {
    const OK: &str = "HTTP/1.1 200 OK";
    let ok = |about, headers: &[u8]| (about, with_headers(OK, headers), 200);
    assert_statuses(&[
        ok("a folded line", b"x-a: 1\r\n 2"),
        ok("lines folded with tabs", b"x-a:\r\n\t1\r\n\t \t2"),
        ok("a space before the colon", b"x-a : 1"),
        ok("a tab before the colon", b"x-a\t: 1"),
        ok("a line without a colon", b"no header at all"),
        ok("a warning of PHP", b"Warning: Undefined variable $x in /srv/hook.php on line 3\r\n<br />"),
        ok("words before the colon", b"PHP Notice: Undefined index"),
        ok("an empty name", b": value"),
        ok("a name that is not ASCII", "gr\u{fc}\u{df}e: x".as_bytes()),
        ok("a name with separators", b"x(y)/z: 1"),
        ok("a control character in a value", b"x-a: 1\x012"),
        ok("a NUL in a value", b"x-a: 1\x002"),
        ok("a NUL in a line without a colon", b"\x00\x00"),
        ok("a lone CR in a value", b"x-a: 1\r2"),
        ok("a value that is not UTF-8", b"x-a: \xff\xfe"),
        ok("a first line that begins with a space", b" x-a: 1"),
        ok("101 headers", many_headers(101).as_bytes()),
        ok("800 headers", many_headers(800).as_bytes()),
        ok("a header of 300 KiB", format!("x-a: {}", "a".repeat(300 * 1024)).as_bytes()),
        ("an odd head of a failure", with_headers("HTTP/1.1 503 Busy", b"x-a : 1\r\n 2\r\n\x00"), 503),
        ("an odd reason", with_headers("HTTP/1.1 202 \u{1}\u{fc}", b"x-a: 1"), 202),
        ("no reason", with_headers("HTTP/1.1 204", b"x-a : 1"), 204),
        (
            "HTTP/1.0 with chunks",
            b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            200,
        ),
    ])
    .await;
}

/// More headers than any server sends need no memory, and the status is still the endpoint's answer.
#[tokio::test]
async fn thousands_of_headers_do_not_hide_the_status_either() {
    assert_statuses(&[
        ("10,000 headers", with_headers("HTTP/1.1 200 OK", many_headers(10_000)), 200),
        ("10,000 headers of a failure", with_headers("HTTP/1.1 500 Oops", many_headers(10_000)), 500),
    ])
    .await;
}

#[tokio::test]
async fn retry_after_counts_in_an_odd_head() {
    let stage = start_stage().await;
    for headers in ["Retry-After : 3000", "x-a: 1\u{0}\r\nretry-after: 3000"] {
        let bytes = with_headers("HTTP/1.1 503 Busy", headers);
        let server =
            WireServer::start(&stage.platform.authority, move |_| WireReply::new(bytes.clone())).await;
        let webhook = stage.brand.create_webhook(&server.url(), &[SMS]).await;
        let event = Event::sms("acme");
        stage.publish_event(&event).await;
        let listed = stage.brand.wait_delivery(&webhook, event.id(), "pending", 1).await;
        let at = |field: &str| {
            let text = listed[field].as_str().unwrap_or_else(|| panic!("no {field} in {listed}"));
            chrono::DateTime::parse_from_rfc3339(text).expect("RFC 3339")
        };
        let wait = (at("nextAttemptAt") - at("lastAttemptAt")).num_seconds();
        assert!((2_990..3_060).contains(&wait), "{headers:?}: {wait} s");
        stage.brand.delete_webhook(&webhook).await;
    }
}

#[tokio::test]
async fn interim_answers_are_skipped() {
    const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";
    const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
    let answer = |interim: &[&str], status_line: &str| {
        [interim.concat().as_bytes(), &with_headers(status_line, "x-a : 1")].concat()
    };
    assert_statuses(&[
        ("100", answer(&[CONTINUE], "HTTP/1.1 200 OK"), 200),
        (
            "102 and 103",
            answer(&["HTTP/1.1 102 Processing\r\n\r\n", HINTS, HINTS], "HTTP/1.1 201 Created"),
            201,
        ),
        ("103 before a failure", answer(&[HINTS], "HTTP/1.1 503 Busy"), 503),
        (
            "an odd 103",
            answer(&["HTTP/1.1 103 Early\r\nlink : <a>\r\n b\r\nno colon\r\n\r\n"], "HTTP/1.1 200 OK"),
            200,
        ),
    ])
    .await;
}

/// Lengths that contradict each other make a response unreadable (RFC 9112 §6.3).
#[tokio::test]
async fn an_answer_with_contradictory_lengths_is_protocol() {
    let stage = start_stage().await;
    for lengths in [
        "content-length: 1\r\ncontent-length: 2",
        "content-length: -1",
        "content-length: 1\u{0}\r\ncontent-length: x",
    ] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{lengths}\r\n\r\nab");
        let seen = attempt_with_reply(&stage, WireReply::new(bytes), "1").await;
        assert_eq!((&seen["outcome"], &seen["statusCode"]), (&json!("protocol"), &json!(null)), "{lengths}");
    }
}

/// An endpoint may answer before it has read the request, and end the connection in any way.
#[tokio::test]
async fn an_early_answer_counts_however_the_connection_ends() {
    let stage = start_stage().await;
    let large = format!("{:?}", "x".repeat(200 * 1024));
    for end in [End::Silence, End::CloseNotify, End::Fin, End::Reset] {
        for (status, outcome) in [(200, "delivered"), (413, "http_status"), (401, "http_status")] {
            let bytes = with_headers(&format!("HTTP/1.1 {status} Early"), "x-a: 1");
            let seen = attempt_with_reply(&stage, WireReply::new(bytes).early().then(end), &large).await;
            let told = (&seen["outcome"], &seen["statusCode"]);
            assert_eq!(told, (&json!(outcome), &json!(status)), "{end:?}: {seen}");
        }
    }
}

#[tokio::test]
async fn an_answer_counts_however_the_connection_ends() {
    let stage = start_stage().await;
    for end in [End::CloseNotify, End::Fin, End::Reset] {
        for (about, bytes, status) in [
            ("a whole answer", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 200),
            ("a body without a length", "HTTP/1.1 200 OK\r\n\r\nok", 200),
            ("a body that is cut", "HTTP/1.1 201 Created\r\ncontent-length: 100\r\n\r\nfew", 201),
            ("chunks that are cut", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfew", 200),
            ("a failure", "HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops", 500),
        ] {
            let seen = attempt_with_reply(&stage, WireReply::new(bytes).then(end), "1").await;
            assert_eq!(seen["statusCode"], json!(status), "{about} {end:?}: {seen}");
        }
    }
}
