//! Decides whether a signature is valid, and names the error if it is not.

use chrono::TimeDelta;
use domain::webhook::signature::{Secret, Signer};
use serde::Deserialize;

use super::reencode::undo_changes;
use super::request::Recorded;
use crate::output::words::format_duration;

/// Timestamps from which a number must be milliseconds: the year 5138 in seconds.
const FIRST_MILLISECONDS: i64 = 100_000_000_000;
/// Characters after the first difference of two bodies that are shown.
const SHOWN_CHARS: usize = 24;

/// A secret and where it comes from.
#[derive(Debug, Clone)]
pub(super) struct NamedSecret {
    pub(super) name: String,
    pub(super) secret: Secret,
}

/// Everything that is known about a request.
#[derive(Debug, Clone)]
pub(super) struct Evidence {
    pub(super) request: Recorded,
    pub(super) secrets: Vec<NamedSecret>,
    /// The bodies that the platform sent for the event. `None` if it was not asked.
    pub(super) sent: Option<Vec<Vec<u8>>>,
    /// The receiver's clock when the request arrived, in Unix seconds.
    pub(super) now: i64,
    /// How far the timestamp may be from the clock, in seconds.
    pub(super) tolerance: i64,
}

/// The result: whether a receiver accepts the request, and the reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) is_valid: bool,
    pub(super) lines: Vec<String>,
}

/// The headers of the signature, parsed.
struct Signed<'a> {
    id: &'a str,
    timestamp: i64,
    signatures: Vec<&'a str>,
}

impl Signed<'_> {
    /// Whether the secret made one of the signatures for this id, timestamp and body.
    fn matches(&self, secret: &Secret, id: &str, timestamp: i64, body: &[u8]) -> bool {
        let own = Signer::new(secret).sign(id, timestamp, body);
        self.signatures.iter().any(|signature| *signature == own)
    }

    /// Whether one of the secrets made one of the signatures for this body.
    fn matches_any(&self, secrets: &[NamedSecret], body: &[u8]) -> bool {
        secrets.iter().any(|named| self.matches(&named.secret, self.id, self.timestamp, body))
    }
}

/// Judges a request.
pub(super) fn judge(evidence: &Evidence) -> Verdict {
    let signed = match parse_headers(&evidence.request) {
        Ok(signed) => signed,
        Err(lines) => return Verdict { is_valid: false, lines },
    };
    let body = &evidence.request.body;
    let makes = |named: &&NamedSecret| signed.matches(&named.secret, signed.id, signed.timestamp, body);
    let Some(named) = evidence.secrets.iter().find(makes) else {
        return Verdict { is_valid: false, lines: explain_mismatch(evidence, &signed) };
    };
    let mut lines = vec![format!("The signature is valid: {} made it.", named.name)];
    let clock = explain_clock(evidence, signed.timestamp);
    let is_valid = clock.is_none();
    lines.extend(clock);
    Verdict { is_valid, lines }
}

/// Reads the three headers, or names everything that is wrong with them.
fn parse_headers(request: &Recorded) -> Result<Signed<'_>, Vec<String>> {
    let mut errors = Vec::new();
    let headers = [
        ("webhook-id", &request.id),
        ("webhook-timestamp", &request.timestamp),
        ("webhook-signature", &request.signature),
    ];
    for (name, _) in headers.iter().filter(|(_, value)| value.is_none()) {
        errors.push(format!("The header {name} is missing: a proxy or the framework dropped it."));
    }
    let timestamp = request.timestamp.as_ref().map(|text| text.parse::<i64>());
    if let Some(Err(_)) = timestamp {
        errors.push("The header webhook-timestamp is not a number of Unix seconds.".to_owned());
    }
    let signatures: Vec<&str> = request.signature.as_deref().unwrap_or_default().split_whitespace().collect();
    if request.signature.is_some() && !signatures.iter().any(|signature| signature.starts_with("v1,")) {
        errors.push(
            "The header webhook-signature has no signature of the scheme v1: each one is v1, a comma and base64, \
             separated by spaces."
                .to_owned(),
        );
    }
    match (errors.is_empty(), &request.id, timestamp) {
        (true, Some(id), Some(Ok(timestamp))) => Ok(Signed { id, timestamp, signatures }),
        _ => Err(errors),
    }
}

/// Explains why a receiver that checks the clock refuses the request. Returns `None` if it does not.
fn explain_clock(evidence: &Evidence, timestamp: i64) -> Option<String> {
    if timestamp >= FIRST_MILLISECONDS {
        return Some("The header webhook-timestamp is in milliseconds; it must be in seconds.".to_owned());
    }
    let age = evidence.now.saturating_sub(timestamp);
    if age.saturating_abs() <= evidence.tolerance {
        return None;
    }
    let [far, tolerance] = [age, evidence.tolerance]
        .map(|seconds| format_duration(TimeDelta::try_seconds(seconds).unwrap_or(TimeDelta::MAX)));
    let direction = if age > 0 { "before" } else { "after" };
    Some(format!(
        "The clock is wrong, or the request is a replay: it was signed {far} {direction} the receiver's time, and at \
         most {tolerance} are allowed. Give the time of a recorded request with --at."
    ))
}

/// Finds out why no secret matches.
fn explain_mismatch(evidence: &Evidence, signed: &Signed<'_>) -> Vec<String> {
    let mut lines = vec!["The signature does not match.".to_owned()];
    let cause = explain_changed_body(evidence, signed)
        .or_else(|| explain_changed_headers(evidence, signed))
        .or_else(|| explain_key(evidence, signed))
        .or_else(|| compare_with_sent(evidence, signed))
        .unwrap_or_else(|| explain_unknown(evidence, signed));
    lines.extend(cause);
    lines.extend(evidence.request.notes.iter().map(|note| format!("Note: {note}.")));
    lines
}

/// Tries to undo the usual changes of a body.
fn explain_changed_body(evidence: &Evidence, signed: &Signed<'_>) -> Option<Vec<String>> {
    let candidates = undo_changes(&evidence.request.body);
    let candidate =
        candidates.iter().find(|candidate| signed.matches_any(&evidence.secrets, &candidate.body))?;
    Some(vec![
        format!("The body was changed after it was signed: {}.", candidate.change),
        "Verify the bytes of the body as they arrived, before a JSON parser or a proxy touches them."
            .to_owned(),
    ])
}

/// Tries other readings of the id and the timestamp.
fn explain_changed_headers(evidence: &Evidence, signed: &Signed<'_>) -> Option<Vec<String>> {
    let body = &evidence.request.body;
    let matches = |id: &str, timestamp: i64| {
        evidence.secrets.iter().any(|named| signed.matches(&named.secret, id, timestamp, body))
    };
    if signed.timestamp >= FIRST_MILLISECONDS && matches(signed.id, signed.timestamp / 1000) {
        return Some(vec![
            "The header webhook-timestamp was changed from seconds to milliseconds.".to_owned(),
        ]);
    }
    let id = BodyIds::parse(body).id?;
    matches(&id, signed.timestamp).then(|| {
        vec![format!(
            "The header webhook-id was changed: the signature is for {id}, the header says {}.",
            signed.id
        )]
    })
}

/// Tries the usual mistake of programs that sign for a test.
fn explain_key(evidence: &Evidence, signed: &Signed<'_>) -> Option<Vec<String>> {
    let body = &evidence.request.body;
    evidence.secrets.iter().find_map(|named| {
        let whole = named.secret.reveal();
        let keys = [whole.as_str(), whole.trim_start_matches("whsec_")];
        let is_text_key = keys.iter().any(|key| {
            let secret = Secret::from_bytes(key.as_bytes().to_vec());
            signed.matches(&secret, signed.id, signed.timestamp, body)
        });
        is_text_key.then(|| {
            vec![format!(
                "The sender used the text of {} as the key. The key is the part behind whsec_, decoded from base64.",
                named.name
            )]
        })
    })
}

/// Compares the body with the bodies that the platform sent.
fn compare_with_sent(evidence: &Evidence, signed: &Signed<'_>) -> Option<Vec<String>> {
    let sent = evidence.sent.as_ref()?;
    let body = &evidence.request.body;
    if sent.is_empty() {
        return Some(vec![format!(
            "The platform sent no event {} to this webhook: the webhook, the brand or the header webhook-id is wrong, or \
             the event is older than the retention period.",
            signed.id
        )]);
    }
    if sent.contains(body) {
        return Some(vec![
            "The body is as the platform sent it, so another secret made the signature.".to_owned(),
            "The secret was rotated, or the headers belong to another attempt.".to_owned(),
        ]);
    }
    if let Some(original) = sent.iter().find(|original| signed.matches_any(&evidence.secrets, original)) {
        return Some(vec![
            "The secret is right, and the body was changed after it was signed.".to_owned(),
            describe_difference(original, body),
        ]);
    }
    // The closest body has the same beginning for the longest time.
    let closest = sent.iter().max_by_key(|original| common_prefix(original, body))?;
    Some(vec![
        "The body differs from every body that the platform sent, and another secret or attempt made the signature."
            .to_owned(),
        describe_difference(closest, body),
    ])
}

/// Lists the remaining causes if nothing else is known.
fn explain_unknown(evidence: &Evidence, signed: &Signed<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    let ids = BodyIds::parse(&evidence.request.body);
    if let Some(id) = ids.id.filter(|id| id != signed.id) {
        lines.push(format!("The body is of the event {id}, and the headers are of {}.", signed.id));
    }
    lines.push(
        "Another secret made the signature, such as the secret of another webhook or the one before a rotation; or \
         the body was changed in a way that cannot be undone."
            .to_owned(),
    );
    if evidence.sent.is_none() {
        let webhook = ids.webhook_id.unwrap_or_else(|| "WEBHOOK".to_owned());
        lines.push(format!("To compare it with the body that the platform sent: --webhook {webhook}"));
    }
    lines
}

/// The ids in a body, if it is an envelope.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct BodyIds {
    pub(super) id: Option<String>,
    webhook_id: Option<String>,
    pub(super) attempt_id: Option<String>,
}

impl BodyIds {
    pub(super) fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Shows the first difference of two bodies.
fn describe_difference(sent: &[u8], received: &[u8]) -> String {
    let place = common_prefix(sent, received);
    let show = |body: &[u8]| {
        let rest = String::from_utf8_lossy(&body[place..]);
        let shown: String = rest.chars().take(SHOWN_CHARS).collect();
        match shown.as_str() {
            "" => "nothing more".to_owned(),
            shown if shown.len() < rest.len() => format!("`{shown}…`"),
            shown => format!("`{shown}`"),
        }
    };
    format!("The first difference is at byte {place}: sent {}, received {}.", show(sent), show(received))
}

#[cfg(test)]
mod tests;
