//! Checks that each message of a hostile producer arrived or lies in the queue of rejected messages.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use e2e::ledger::{Ledger, Place};
use e2e::poison::{Fate, HostileMessage};
use e2e::raw_amqp::RawMessage;
use sha2::{Digest, Sha256};

/// Maximum length of the header `x-reject-detail` (contract §2).
const MAX_DETAIL_BYTES: usize = 1_024;
/// Maximum number of bytes of a message that a report shows.
pub(crate) const MAX_SHOWN_BYTES: usize = 120;
/// The codes for which a valid event may be rejected while the router's clock is days off.
const WRONG_CLOCK: [&str; 1] = ["created_out_of_range"];

type Fingerprint = [u8; 32];

/// All messages that hostile producers sent.
#[derive(Debug, Default)]
pub(crate) struct Claims(Vec<Claim>);

/// A message of a hostile producer.
#[derive(Debug)]
struct Claim {
    what: String,
    fate: Fate,
    /// The fingerprint of the body; `None` when the API composed the body.
    body: Option<Fingerprint>,
    /// The id of the event in the body.
    id: Option<String>,
    /// Whether the broker confirmed it, so that it needs an outcome.
    confirmed: bool,
}

/// A message from the queue of rejected messages.
#[derive(Debug)]
pub(crate) struct Refusal {
    body: Fingerprint,
    pub(crate) id: Option<String>,
    reason: Option<String>,
    detail_bytes: usize,
    start: String,
}

impl Claims {
    /// Records a message that was sent over AMQP.
    pub(crate) fn record(&mut self, sent: &HostileMessage, confirmed: bool) {
        let id = sent.event.as_ref().map(|event| event.id().to_owned());
        let body = Some(Sha256::digest(&sent.body).into());
        self.0.push(Claim { what: sent.what.clone(), fate: sent.fate, body, id, confirmed });
    }

    /// Records an event that the API accepted over HTTP and that has to be rejected for one of these reasons.
    pub(crate) fn record_http(&mut self, what: &str, id: &str, reasons: &'static [&'static str]) {
        let what = format!("{what} over HTTP");
        let id = Some(id.to_owned());
        let fate = Fate::Rejected(reasons);
        self.0.push(Claim { what, fate, body: None, id, confirmed: true });
    }

    /// Describes each claim that was not kept, and each rejected message that should not be there.
    pub(crate) fn judge_claims(
        &self,
        refusals: &[Refusal],
        ledger: &Ledger,
        listed: &HashSet<(String, Place)>,
        clocks_were_off: bool,
    ) -> Vec<String> {
        let mut complaints: Vec<String> = refusals.iter().filter_map(Refusal::describe_defect).collect();
        complaints
            .extend(self.0.iter().filter_map(|claim| self.describe_broken(claim, refusals, ledger, listed)));
        let unknown = refusals.iter().filter(|refusal| !self.0.iter().any(|claim| claim.is_in(refusal)));
        for refusal in unknown {
            let reason = refusal.reason.as_deref().unwrap_or_default();
            let valid = refusal.id.as_deref().is_some_and(|id| !ledger.owed_places(id).is_empty());
            if !(clocks_were_off && valid && WRONG_CLOCK.contains(&reason)) {
                complaints.push(format!("a valid message was rejected: {refusal}"));
            }
        }
        complaints
    }

    /// Describes how the outcome of a claim differs from the expected one.
    fn describe_broken(
        &self,
        claim: &Claim,
        refusals: &[Refusal],
        ledger: &Ledger,
        listed: &HashSet<(String, Place)>,
    ) -> Option<String> {
        let found: Vec<&Refusal> = refusals.iter().filter(|refusal| claim.is_in(refusal)).collect();
        let (Fate::Rejected(reasons) | Fate::ArrivesOrRejected(reasons)) = claim.fate else {
            return (!found.is_empty()).then(|| format!("rejected instead of dropped: {claim}"));
        };
        let fits = |reason: &str| reasons.contains(&reason);
        if let Some(other) = found.iter().find(|refusal| !refusal.reason.as_deref().is_some_and(fits)) {
            return Some(format!("rejected for another reason: {claim}: {other}"));
        }
        // Some bodies are sent several times.
        let same = self.0.iter().filter(|other| other.confirmed && other.body == claim.body).count();
        let kept = match (claim.fate, &claim.id) {
            _ if !claim.confirmed => true,
            _ if found.len() >= if claim.body.is_some() { same } else { 1 } => true,
            (Fate::ArrivesOrRejected(_), Some(id)) => {
                let places = ledger.owed_places(id);
                !places.is_empty() && places.iter().all(|place| listed.contains(&(id.clone(), *place)))
            }
            _ => false,
        };
        (!kept).then(|| format!("neither delivered nor rejected: {claim}"))
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (event {:?}; {:?})", self.what, self.id, self.fate)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {} bytes of detail: {}", self.reason, self.detail_bytes, self.start)
    }
}

impl Claim {
    /// Whether this rejected message is the whole message of this claim.
    fn is_in(&self, refusal: &Refusal) -> bool {
        match self.body {
            Some(body) => body == refusal.body,
            None => self.id.is_some() && self.id == refusal.id,
        }
    }
}

impl Refusal {
    /// Reads a message from the queue of rejected messages.
    pub(crate) fn read(message: &RawMessage) -> Self {
        let header = |name: &str| message.header(name.as_bytes());
        let start = &message.body[..message.body.len().min(MAX_SHOWN_BYTES)];
        let start = String::from_utf8_lossy(start).into_owned();
        let id = start.split_once(r#""id":""#).and_then(|(_, rest)| rest.split_once('"'));
        Self {
            body: Sha256::digest(&message.body).into(),
            id: id.map(|(id, _)| id.to_owned()),
            reason: header("x-reject-reason").map(|reason| String::from_utf8_lossy(&reason).into_owned()),
            detail_bytes: header("x-reject-detail").map_or(0, |detail| detail.len()),
            start,
        }
    }

    /// Describes a missing reason or a detail that is too long.
    fn describe_defect(&self) -> Option<String> {
        match &self.reason {
            None => Some(format!("rejected without a reason: {self}")),
            Some(_) if self.detail_bytes > MAX_DETAIL_BYTES => {
                Some(format!("the detail is too long: {self}"))
            }
            Some(_) => None,
        }
    }
}

/// Counts the rejected messages by reason.
pub(crate) fn count_by_reason(refusals: &[Refusal]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for refusal in refusals {
        *counts.entry(refusal.reason.clone().unwrap_or_default()).or_default() += 1;
    }
    counts
}
