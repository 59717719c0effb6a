//! The exchange of an attempt.

use domain::delivery::exchange::{Exchange, ResponseHeaders, SentHeader, SentValue, Timing, TlsVersion};
use serde_json::{Value, json};

use crate::rows::Event;
use crate::support::{Caller, TestApi};

fn sent(name: &str, value: SentValue) -> SentHeader {
    SentHeader { name: name.to_owned(), value }
}

fn exchange() -> Exchange {
    Exchange {
        is_sent: true,
        url: "https://hooks.example:8443/a?b".to_owned(),
        headers: vec![
            sent("x-key", SentValue::Hidden),
            sent("webhook-id", SentValue::EventId),
            sent("host", SentValue::Authority),
        ],
        response: Some(ResponseHeaders {
            block: b"Location: /next\r\nset-cookie: a\r\nSet-Cookie: \xe4\0\r\n".to_vec(),
            is_cut: true,
            location: None,
        }),
        is_body_cut: true,
        timing: Timing { dns_ms: Some(1), connect_ms: Some(2), tls_ms: Some(3), first_byte_ms: Some(4) },
        remote_address: Some("203.0.113.9:8443".to_owned()),
        tls_version: Some(TlsVersion::Tls12),
        ..Exchange::default()
    }
}

async fn store(api: &TestApi, attempt: &str, status: i32, stored: Option<&[u8]>) {
    let id: domain::ids::AttemptId = attempt.parse().expect("an id");
    let update = "UPDATE attempts SET status_code = $2, exchange = $3 WHERE attempt_id = $1";
    api.sql.execute(update, &[&id.to_uuid(), &status, &stored]).await.expect("updated");
}

/// A brand's token, its webhook's id, an event with an attempt, and the paths of both.
async fn attempt_of<'a>(api: &'a TestApi, data: &str) -> (Caller<'a>, String, Event, String, String) {
    let (acme, webhook) = api.acme().await;
    let id = webhook["id"].as_str().expect("id").to_owned();
    let event = Event::new().to(&id).data(data);
    event.insert(&api.sql).await;
    let attempt = event.attempt(&api.sql, "http_status", "fresh").await;
    let path = format!("/v1/acme/webhooks/{id}/events/{}/attempts", event.id);
    (acme, id, event, attempt, path)
}

#[tokio::test]
async fn an_exchange_shows_the_request_the_response_and_the_phases() {
    let api = TestApi::new().await;
    let data = r#"{"b":12345678901234567890, "a" : 1.10,"s":"ä\u00e4 "}"#;
    let (acme, webhook, event, attempt, path) = attempt_of(&api, data).await;
    store(&api, &attempt, 302, Some(&exchange().encode())).await;
    let read = acme.get(&format!("{path}/{attempt}")).await.expect(200);
    let mut expected = acme.get(&path).await.expect(200)["items"][0].clone();
    let created = domain::time::format_timestamp(event.created);
    let body = format!(
        r#"{{"id":"{}","brandId":"acme","webhookId":"{webhook}","attemptId":"{attempt}","created":"{created}","type":"{}","data":{data}}}"#,
        event.id, event.event_type
    );
    let added = json!({
        "request": {
            "sent": true, "method": "POST", "url": "https://hooks.example:8443/a?b",
            "urlTruncated": false,
            "headers": [["x-key", "(hidden)"], ["webhook-id", event.id.to_string()], ["host", "hooks.example:8443"]],
            "body": body, "bodyUnavailable": null,
        },
        "response": {
            "status": 302, "headers": [["Location", "/next"], ["set-cookie", "a"], ["Set-Cookie", "ä\0"]],
            "headersTruncated": true, "body": "oops", "bodyTruncated": true,
        },
        "timing": {"dnsMs": 1, "connectMs": 2, "tlsMs": 3, "firstByteMs": 4, "reusedConnection": false},
        "remoteAddress": "203.0.113.9:8443",
        "tls": {"version": "TLS 1.2", "problem": null},
        "location": "/next",
    });
    let fields = expected.as_object_mut().expect("an object");
    fields.extend(added.as_object().expect("an object").clone());
    assert_eq!(read, expected);
    api.drop_database().await;
}

#[tokio::test]
async fn an_attempt_of_another_release_has_no_stored_members() {
    let api = TestApi::new().await;
    let (acme, _, _, attempt, path) = attempt_of(&api, "{}").await;
    let later = [&[99], exchange().encode().as_slice()].concat();
    for stored in [None, Some(later.as_slice())] {
        store(&api, &attempt, 302, stored).await;
        let read = acme.get(&format!("{path}/{attempt}")).await.expect(200);
        let request = &read["request"];
        assert!(request["body"].as_str().is_some_and(|body| body.contains(&attempt)), "{read}");
        for member in ["sent", "url", "urlTruncated", "headers"] {
            assert_eq!(request[member], Value::Null, "{member}: {read}");
        }
        let timing = json!({"dnsMs": null, "connectMs": null, "tlsMs": null, "firstByteMs": null, "reusedConnection": null});
        assert_eq!(read["timing"], timing);
        let response = json!({"status": 302, "headers": null, "headersTruncated": null, "body": "oops", "bodyTruncated": null});
        assert_eq!(read["response"], response);
        for member in ["remoteAddress", "tls", "location"] {
            assert_eq!(read.get(member), Some(&Value::Null), "{member}: {read}");
        }
    }
    api.drop_database().await;
}

#[tokio::test]
async fn a_body_of_another_length_than_was_sent_is_not_shown() {
    let api = TestApi::new().await;
    let (acme, _, _, attempt, path) = attempt_of(&api, "{}").await;
    store(&api, &attempt, 302, None).await;
    let read = async || acme.get(&format!("{path}/{attempt}")).await.expect(200)["request"].clone();
    let body = read().await["body"].as_str().expect("a body").to_owned();
    for (bytes, is_shown) in [(body.len(), true), (body.len() + 1, false)] {
        let length = sent("content-length", SentValue::Number(bytes as u64));
        let stored = Exchange { headers: vec![length], ..exchange() };
        store(&api, &attempt, 302, Some(&stored.encode())).await;
        let request = read().await;
        assert_eq!(request["body"] == json!(body), is_shown, "{request}");
        assert_eq!(request["body"].is_null(), !is_shown, "{request}");
        assert_eq!(request["bodyUnavailable"].is_null(), is_shown, "{request}");
    }
    api.drop_database().await;
}

#[tokio::test]
async fn an_exchange_is_found_by_its_own_brand_webhook_event_and_attempt() {
    let api = TestApi::new().await;
    let (acme, webhook, event, attempt, path) = attempt_of(&api, "{}").await;
    let other = api.brand("globex", "read", &[]).await;
    let path = format!("{path}/{attempt}");
    other.get(&path).await.problem(404);
    other.get(&path.replace("/acme/", "/globex/")).await.problem(404);
    acme.get(&path.replace(&attempt, "01F2SFVYVD0H873S2VRT8VQSPM")).await.problem(404);
    acme.get(&path.replace(&attempt, "nonsense")).await.problem(404);
    acme.get(&path.replace(&event.id.to_string(), "01F2SFVYVD0H873S2VRT8VQSPM")).await.problem(404);
    acme.get(&path.replace(&webhook, "9e21c694-ee9e-48a7-b016-522fd8ef08c1")).await.problem(404);
    acme.get(&path.replace(&attempt, &attempt.to_lowercase())).await.expect(200);
    api.as_support().get(&path).await.expect(200);
    api.drop_database().await;
}
