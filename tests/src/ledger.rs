//! A ledger of owed deliveries, pair by pair, for runs with too many requests to keep them. A confirmed event
//! is owed to each webhook that matches it, and the witness at the endpoints reports arrivals.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use ulid::Ulid;

use crate::brand::Webhook;
use crate::event::Event;
use crate::receiver::{Received, Witness};
use crate::rng::mix;
use crate::script::Reply;
use crate::signature;

/// Maximum number of requests of one attempt.
const MAX_REQUESTS: usize = 2;
/// Maximum number of described violations; all are counted.
const MAX_DESCRIPTIONS: usize = 20;
/// One in this number of pairs is answered with 503 at first.
const REFUSE_ONE_IN: u64 = 16;
/// One in this number of pairs loses its connection at first.
const DROP_ONE_IN: u64 = 64;
/// One in this number of pairs is answered late.
const DELAY_ONE_IN: u64 = 64;
/// The delay of a late answer.
const REPLY_DELAY: Duration = Duration::from_millis(300);

/// The position of a webhook in the ledger.
pub type Place = usize;
/// The position of a kind of events (a brand and a type) in the ledger.
pub type Kind = usize;

/// A webhook in the ledger. The path of its endpoint is its position.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// Its brand.
    pub brand: String,
    /// The webhook.
    pub webhook: Webhook,
}

/// The ledger of one run.
#[derive(Debug, Default)]
pub struct Ledger {
    state: Mutex<State>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    subscribers: Vec<Subscriber>,
    /// Webhooks whose endpoint answers only errors.
    failing: HashSet<Place>,
    /// Webhooks whose events need not arrive, because they may be discarded or held instead.
    excused: HashSet<Place>,
    kinds: Vec<KindRow>,
    events: HashMap<Ulid, SentEvent>,
    confirmed: usize,
    pairs: HashMap<(Ulid, Place), Observation>,
    /// Requests of each attempt. There may be two: the deliverer sends a request once more if its kept connection dies
    /// before the first byte of a response, which a fault may swallow.
    attempts: HashMap<Ulid, usize>,
    /// The number of pairs that have to arrive, and the number of arrived ones.
    due: usize,
    arrived: usize,
    violations: Violations,
}

#[derive(Debug)]
struct KindRow {
    brand: String,
    event_type: String,
    places: Vec<Place>,
}

/// An event that a producer got to publish.
#[derive(Debug, Clone, Copy)]
struct SentEvent {
    kind: Kind,
    number: u64,
    created: i64,
    confirmed: bool,
    /// Whether it may be among the rejected messages instead.
    disputed: bool,
}

/// The observations of a pair at its endpoint.
#[derive(Debug, Default, Clone, Copy)]
struct Observation {
    requests: u32,
    accepted: u32,
}

/// Requests that must not occur.
#[derive(Debug, Default, Clone)]
pub struct Violations {
    /// Requests that differ from the published event, or have a wrong signature.
    pub altered: usize,
    /// Requests without a published event.
    pub invented: usize,
    /// Descriptions of some of them.
    pub descriptions: Vec<String>,
}

/// The counts of a run.
#[derive(Debug, Clone)]
pub struct Totals {
    /// Events that were confirmed.
    pub events: usize,
    /// Pairs of an event and a webhook to which it was owed.
    pub pairs: usize,
    /// Pairs that have to arrive and have not.
    pub missing: usize,
    /// Requests that were accepted although the pair had arrived before.
    pub duplicates: usize,
    /// Requests that must not occur.
    pub violations: Violations,
}

impl Violations {
    fn describe(&mut self, what: String) {
        if self.descriptions.len() < MAX_DESCRIPTIONS {
            self.descriptions.push(what);
        }
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The position of the next webhook.
    #[must_use]
    pub fn next_place(&self) -> Place {
        self.lock().subscribers.len()
    }

    /// Adds a webhook that gets all events of these kinds from now on.
    pub fn add_webhook(&self, subscriber: Subscriber, kinds: &[Kind]) -> Place {
        let mut state = self.lock();
        let place = state.subscribers.len();
        state.subscribers.push(subscriber);
        for kind in kinds {
            state.kinds[*kind].places.push(place);
        }
        place
    }

    /// Adds a kind of events.
    pub fn add_kind(&self, brand: &str, event_type: &str) -> Kind {
        let mut state = self.lock();
        let row = KindRow { brand: brand.to_owned(), event_type: event_type.to_owned(), places: Vec::new() };
        state.kinds.push(row);
        state.kinds.len() - 1
    }

    /// Makes a webhook's endpoint answer 500 to everything from now on, or ends that.
    pub fn set_failing(&self, place: Place, fails: bool) {
        let mut state = self.lock();
        if fails {
            state.failing.insert(place)
        } else {
            state.failing.remove(&place)
        };
    }

    /// Marks a webhook that will be deleted, so that its remaining events need not arrive, but must be
    /// visible.
    pub fn mark_excused(&self, place: Place) {
        self.lock().excused.insert(place);
    }

    /// Returns all webhooks in order.
    #[must_use]
    pub fn subscribers(&self) -> Vec<Subscriber> {
        self.lock().subscribers.clone()
    }

    /// Creates an event of a kind.
    pub fn draw_event(&self, kind: Kind) -> Event {
        let event = self.draw_disputed_event(kind);
        let id = event.id().parse().expect("a ULID");
        let mut state = self.lock();
        state.events.get_mut(&id).expect("a drawn event").disputed = false;
        state.due += state.due_observations(id).count();
        event
    }

    /// Creates an event of a kind that does not have to arrive, because the router may reject it.
    pub fn draw_disputed_event(&self, kind: Kind) -> Event {
        let mut state = self.lock();
        let number = state.events.len() as u64;
        let created = chrono::Utc::now().timestamp_millis();
        let id = Ulid::generate();
        state.events.insert(id, SentEvent { kind, number, created, confirmed: false, disputed: true });
        let row = &state.kinds[kind];
        let event =
            Event::new(&row.brand, &row.event_type).data(&event_data(number)).created(&format_time(created));
        Event { id: Some(id.to_string()), ..event }
    }

    /// Records that the broker has confirmed an event, so that it is owed.
    pub fn confirm_event(&self, event: &Event) {
        let mut state = self.lock();
        let id: Ulid = event.id().parse().expect("a ULID");
        let sent = state.events.get_mut(&id).expect("an event of this ledger");
        let first = !std::mem::replace(&mut sent.confirmed, true);
        state.confirmed += usize::from(first);
    }

    /// Records that an event was rejected, so that it does not have to arrive. The judge decides whether the
    /// rejection was right. Returns false when this ledger has no such event.
    pub fn dispute_event(&self, id: &str) -> bool {
        let mut state = self.lock();
        let Some(id) = id.parse().ok().filter(|id| state.events.contains_key(id)) else { return false };
        if !state.events[&id].disputed {
            let due: Vec<Observation> = state.due_observations(id).collect();
            state.due -= due.len();
            state.arrived -= due.iter().filter(|seen| seen.accepted > 0).count();
            state.events.get_mut(&id).expect("an event of this ledger").disputed = true;
        }
        true
    }

    /// Returns the webhooks to which an event is owed, unless it was rejected.
    #[must_use]
    pub fn owed_places(&self, id: &str) -> Vec<Place> {
        let state = self.lock();
        id.parse().map(|id| state.owed_pairs(id).map(|(place, _)| place).collect()).unwrap_or_default()
    }

    /// Returns the number of confirmed events.
    #[must_use]
    pub fn count_confirmed(&self) -> usize {
        self.lock().confirmed
    }

    /// Describes the pairs of these events that no endpoint has seen.
    #[must_use]
    pub fn describe_unseen(&self, events: &[Event]) -> Vec<String> {
        self.describe_seen_less_than(1, events, None)
    }

    /// Describes the pairs of these events with fewer requests than this. Pairs of the webhook `but` do not
    /// count.
    #[must_use]
    pub fn describe_seen_less_than(
        &self,
        requests: u32,
        events: &[Event],
        but: Option<Place>,
    ) -> Vec<String> {
        let state = self.lock();
        let ids = events.iter().map(|event| event.id().parse::<Ulid>().expect("a ULID"));
        ids.flat_map(|id| state.owed_pairs(id).map(move |(place, seen)| (id, place, seen)))
            .filter(|(_, place, seen)| seen.requests < requests && Some(*place) != but)
            .map(|(id, place, _)| format!("{id} at {place} ({})", state.subscribers[place].webhook.id))
            .collect()
    }

    /// Returns the events among these that an endpoint has received and not accepted yet.
    #[must_use]
    pub fn refused_events(&self, events: &[Event]) -> Vec<Event> {
        let state = self.lock();
        let refused = |event: &&Event| {
            let id = event.id().parse().expect("a ULID");
            state.owed_pairs(id).any(|(_, seen)| seen.requests > 0 && seen.accepted == 0)
        };
        events.iter().filter(refused).cloned().collect()
    }

    /// Waits until `enough` returns true, checking after each arrival.
    ///
    /// # Errors
    /// When it is not true within `timeout`.
    pub async fn wait_until(
        &self,
        timeout: Duration,
        enough: impl Fn(&Self) -> bool,
    ) -> Result<(), tokio::time::error::Elapsed> {
        let mut changed = self.changed.subscribe();
        tokio::time::timeout(timeout, async {
            loop {
                changed.borrow_and_update();
                if enough(self) {
                    return;
                }
                if changed.changed().await.is_err() {
                    unreachable!("the sender lives in self");
                }
            }
        })
        .await
    }

    /// Returns the number of pairs that have to arrive and have not.
    #[must_use]
    pub fn count_missing(&self) -> usize {
        let state = self.lock();
        state.due - state.arrived
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let state = self.lock();
        let pairs = state.events.values().map(|sent| state.kinds[sent.kind].places.len()).sum();
        let duplicates = state.pairs.values().map(|seen| seen.accepted.saturating_sub(1) as usize).sum();
        let violations = state.violations.clone();
        let missing = state.due - state.arrived;
        Totals { events: state.confirmed, pairs, missing, duplicates, violations }
    }

    /// Returns how an event owed to a webhook must look in Get Events; `None` when it was not owed.
    #[must_use]
    pub fn expected_event(&self, place: Place, id: &str) -> Option<Owed> {
        let state = self.lock();
        let id: Ulid = id.parse().ok()?;
        let (_, seen) = state.owed_pairs(id).find(|(at, _)| *at == place)?;
        let sent = state.events[&id];
        let event_type = state.kinds[sent.kind].event_type.clone();
        let created = format_time(sent.created);
        let data = event_data(sent.number);
        let requests = seen.requests;
        let accepted = seen.accepted > 0;
        let disputed = sent.disputed;
        let excused = state.excused.contains(&place);
        Some(Owed { event_type, created, data, requests, accepted, disputed, excused })
    }

    /// Returns the number of confirmed events owed to a webhook, without disputed ones.
    #[must_use]
    pub fn count_owed_to(&self, place: Place) -> usize {
        let state = self.lock();
        let wanted = |sent: &&SentEvent| {
            sent.confirmed && !sent.disputed && state.kinds[sent.kind].places.contains(&place)
        };
        state.events.values().filter(wanted).count()
    }
}

/// The expected form of an event at a webhook, and how it was received.
#[derive(Debug)]
pub struct Owed {
    /// Its type.
    pub event_type: String,
    /// Its time.
    pub created: String,
    /// Its data, byte for byte.
    pub data: String,
    /// The number of requests to the endpoint.
    pub requests: u32,
    /// Whether the endpoint accepted it.
    pub accepted: bool,
    /// Whether it may be among the rejected messages instead.
    pub disputed: bool,
    /// Whether it need not arrive at this webhook.
    pub excused: bool,
}

impl State {
    /// The webhooks to which an event is owed, with their observations of it.
    fn owed_pairs(&self, id: Ulid) -> impl Iterator<Item = (Place, Observation)> {
        let places = self.events.get(&id).map(|sent| self.kinds[sent.kind].places.as_slice());
        let seen = move |place: &Place| (*place, self.pairs.get(&(id, *place)).copied().unwrap_or_default());
        places.unwrap_or_default().iter().map(seen)
    }

    /// The observations of an event at each webhook that it has to reach.
    fn due_observations(&self, id: Ulid) -> impl Iterator<Item = Observation> {
        self.owed_pairs(id).filter(|(place, _)| !self.excused.contains(place)).map(|(_, seen)| seen)
    }

    /// Records an arrival, and returns the answer.
    fn record_arrival(&mut self, id: Ulid, place: Place) -> Reply {
        let failing = self.failing.contains(&place);
        let counts = !self.excused.contains(&place) && !self.events[&id].disputed;
        let seen = self.pairs.entry((id, place)).or_default();
        seen.requests += 1;
        let reply = if failing { Reply::status(500) } else { choose_reply(id, place, seen.requests) };
        if matches!(&reply, Reply::Answer(answer) if answer.status == 200) {
            seen.accepted += 1;
            self.arrived += usize::from(seen.accepted == 1 && counts);
        }
        reply
    }

    /// Returns the expected request with this attempt's id; an error when the pair is not owed.
    fn expected_request(&self, id: Ulid, place: Place, attempt: Ulid) -> Result<String, String> {
        let sent = self.events.get(&id).ok_or("no such event was published")?;
        let row = &self.kinds[sent.kind];
        if !row.places.contains(&place) {
            return Err(format!("the webhook is not subscribed to {} of {}", row.event_type, row.brand));
        }
        let webhook = &self.subscribers[place].webhook.id;
        Ok(format!(
            r#"{{"id":"{id}","brandId":"{}","webhookId":"{webhook}","attemptId":"{attempt}","created":"{}","type":"{}","data":{}}}"#,
            row.brand,
            format_time(sent.created),
            row.event_type,
            event_data(sent.number)
        ))
    }
}

impl Witness for Ledger {
    fn answer(&self, request: &Received) -> Reply {
        let reply = self.judge_request(request);
        self.changed.send_replace(());
        reply
    }
}

impl Ledger {
    fn judge_request(&self, request: &Received) -> Reply {
        let read = || {
            let place: Place = request.path.strip_prefix('/')?.parse().ok()?;
            let id: Ulid = text_field(request.text(), "id")?.parse().ok()?;
            let attempt: Ulid = text_field(request.text(), "attemptId")?.parse().ok()?;
            Some((place, id, attempt))
        };
        let Some((place, id, attempt)) = read() else { return self.record_invented("unreadable", request) };
        let Some(subscriber) = self.lock().subscribers.get(place).cloned() else {
            return self.record_invented("no such webhook", request);
        };
        let signed = signature::verify(
            &subscriber.webhook.secret,
            &request.headers,
            &request.body,
            signature::unix_now(),
        );
        let mut state = self.lock();
        let expected = match state.expected_request(id, place, attempt) {
            Ok(expected) => expected,
            Err(why) => {
                drop(state);
                return self.record_invented(&why, request);
            }
        };
        let sent = state.attempts.entry(attempt).or_default();
        *sent += 1;
        let sent = *sent;
        if expected != request.text() || signed.is_err() || sent > MAX_REQUESTS {
            state.violations.altered += 1;
            let description =
                format!("{} instead of {expected} ({signed:?}, request {sent})", request.text());
            state.violations.describe(description);
        }
        state.record_arrival(id, place)
    }

    fn record_invented(&self, why: &str, request: &Received) -> Reply {
        let mut state = self.lock();
        state.violations.invented += 1;
        state.violations.describe(format!("{why}: {} at {}", request.text(), request.path));
        Reply::ok()
    }
}

/// Returns a text field of an envelope that has exactly our form.
fn text_field<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!(r#""{name}":""#))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// Returns an endpoint's answer to a request of a pair; most are accepted at once, some only the second time.
fn choose_reply(id: Ulid, place: Place, request: u32) -> Reply {
    let chance = mix(id.random() as u64 ^ (place as u64));
    match request {
        1 if chance.is_multiple_of(REFUSE_ONE_IN) => Reply::status(503),
        1 if (chance >> 8).is_multiple_of(DROP_ONE_IN) => Reply::Drop,
        _ if (chance >> 16).is_multiple_of(DELAY_ONE_IN) => Reply::ok().after(REPLY_DELAY),
        _ => Reply::ok(),
    }
}

/// Returns data that arrives unchanged only if nobody parses and prints it.
fn event_data(number: u64) -> String {
    let padding = "x".repeat(usize::try_from(number % 7).unwrap_or(0) * 100);
    format!(
        r#"{{"z":{number},"amount":1.50,"big":123456789012345678901234567890,"text":"é \u00e9 \/ \"{padding}\"","a":[1e2,-0]}}"#
    )
}

/// Formats a time as the contract does.
fn format_time(millis: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(millis).expect("a time of this age");
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
