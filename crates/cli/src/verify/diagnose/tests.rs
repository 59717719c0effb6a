use super::*;

const ID: &str = "01F2SFVYVD0H873S2VRT8VQSPM";
const OTHER_ID: &str = "01F2SFVYVD0H873S2VRT8VQSPN";
const NOW: i64 = 1_614_265_330;

fn right() -> Secret {
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().expect("a secret")
}

fn sent_body() -> Vec<u8> {
    let data = r#"{"z":1.10,"a":2}"#;
    let head = r#""brandId":"acme","webhookId":"W","attemptId":"A","created":"T","type":"A.B""#;
    format!(r#"{{"id":"{ID}",{head},"data":{data}}}"#).into_bytes()
}

/// A request that the platform signed at `NOW`, as it arrived 12 s later.
fn evidence() -> Evidence {
    let body = sent_body();
    let request = Recorded {
        id: Some(ID.to_owned()),
        timestamp: Some(NOW.to_string()),
        signature: Some(format!("v1,AAAA {}", Signer::new(&right()).sign(ID, NOW, &body))),
        body,
        notes: Vec::new(),
    };
    let secrets = vec![NamedSecret { name: "the secret".to_owned(), secret: right() }];
    Evidence { request, secrets, sent: None, now: NOW + 12, tolerance: 300 }
}

fn assert_told(evidence: &Evidence, wanted: &str) {
    let verdict = judge(evidence);
    assert!(!verdict.is_valid, "{verdict:?}");
    let text = verdict.lines.join("\n");
    assert!(text.contains(wanted), "{wanted} in\n{text}");
}

#[test]
fn right_signature_is_valid_within_the_tolerance() {
    for seconds in [-300, 0, 300] {
        let verdict = judge(&Evidence { now: NOW + seconds, ..evidence() });
        let lines = vec!["The signature is valid: the secret made it.".to_owned()];
        assert_eq!(verdict, Verdict { is_valid: true, lines });
    }
}

#[test]
fn wrong_clock_is_told_apart_from_a_wrong_signature() {
    let late = Evidence { now: NOW + 301, ..evidence() };
    assert_told(&late, "The signature is valid");
    assert_told(&late, "signed 5 min 1 s before the receiver's time, and at most 5 min are allowed");
    assert_told(&Evidence { now: NOW - 7200, ..evidence() }, "signed 2 h after the receiver's time");
    assert_told(&Evidence { now: i64::MAX, ..evidence() }, "before the receiver's time");
}

#[test]
fn each_missing_or_malformed_header_is_named() {
    let mut none = evidence();
    none.request = Recorded { body: sent_body(), ..Recorded::default() };
    for header in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        assert_told(&none, &format!("The header {header} is missing"));
    }
    let mut odd = evidence();
    odd.request.timestamp = Some("2021-02-25T15:02:10Z".to_owned());
    odd.request.signature = Some("v1a,AAAA".to_owned());
    assert_told(&odd, "webhook-timestamp is not a number");
    assert_told(&odd, "no signature of the scheme v1");
}

#[test]
fn reencoded_body_is_recognized() {
    let mut spread = evidence();
    let text = String::from_utf8(sent_body()).expect("text");
    spread.request.body = crate::output::pretty::spread_json(&text).into_bytes();
    assert_told(&spread, "The body was changed after it was signed: it was parsed as JSON");
    assert_told(&spread, "before a JSON parser");
    let mut newline = evidence();
    newline.request.body.push(b'\n');
    assert_told(&newline, "white space was added around it");
}

#[test]
fn changed_headers_are_recognized() {
    let mut millis = evidence();
    millis.request.timestamp = Some(format!("{NOW}000"));
    assert_told(&millis, "from seconds to milliseconds");
    let mut id = evidence();
    id.request.id = Some(OTHER_ID.to_owned());
    assert_told(&id, &format!("webhook-id was changed: the signature is for {ID}"));
}

#[test]
fn text_of_the_secret_as_the_key_is_recognized() {
    let text = right().reveal();
    for key in [text.as_str(), text.trim_start_matches("whsec_")] {
        let mut wrong = evidence();
        let signer = Signer::new(&Secret::from_bytes(key.as_bytes().to_vec()));
        wrong.request.signature = Some(signer.sign(ID, NOW, &sent_body()));
        assert_told(&wrong, "used the text of the secret as the key");
    }
}

#[test]
fn without_the_platform_the_remaining_causes_are_listed() {
    let mut wrong = evidence();
    wrong.secrets[0].secret = Secret::generate();
    assert_told(&wrong, "Another secret made the signature");
    assert_told(&wrong, "--webhook W");
    wrong.request.id = Some(OTHER_ID.to_owned());
    assert_told(&wrong, &format!("The body is of the event {ID}"));
    let mut cut = evidence();
    cut.request.body.truncate(50);
    cut.request.notes.push("the body has 50 bytes instead of the 120 of content-length".to_owned());
    assert_told(&cut, "Note: the body has 50 bytes instead of the 120");
}

#[test]
fn body_as_sent_means_another_secret() {
    let mut wrong = evidence();
    wrong.sent = Some(vec![sent_body()]);
    wrong.secrets[0].secret = Secret::generate();
    assert_told(&wrong, "The body is as the platform sent it, so another secret made the signature.");
}

#[test]
fn changed_body_is_shown_at_its_first_difference() {
    let mut changed = evidence();
    changed.sent = Some(vec![b"other".to_vec(), sent_body()]);
    let text = String::from_utf8(sent_body()).expect("text");
    changed.request.body = text.replace("1.10", "1.1").into_bytes();
    let place = text.find("1.10").expect("a number") + 3;
    assert_told(&changed, "The secret is right, and the body was changed");
    assert_told(&changed, &format!("at byte {place}: sent `0,\"a\":2}}}}`, received `,\"a\":2}}}}`."));
    changed.request.body.truncate(10);
    assert_told(&changed, "received nothing more.");
    changed.secrets[0].secret = Secret::generate();
    assert_told(&changed, "The body differs from every body that the platform sent");
}

#[test]
fn event_that_the_platform_does_not_know_is_said() {
    let mut unknown = evidence();
    unknown.sent = Some(Vec::new());
    unknown.secrets[0].secret = Secret::generate();
    assert_told(&unknown, &format!("sent no event {ID} to this webhook"));
}
