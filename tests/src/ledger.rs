//! A ledger of owed deliveries, pair by pair, for runs with too many requests to keep them. A confirmed event
//! is owed to each webhook that matches it, and the witness at the endpoints reports arrivals.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use ulid::Ulid;

use crate::brand::Webhook;
use crate::dice::mix;
use crate::event::Event;
use crate::receiver::{Received, Witness};
use crate::script::Reply;
use crate::signature;

/// Maximum number of wrong requests that are kept in words; all are counted.
const WORDS: usize = 20;
/// One in this number of pairs is answered with 503 at first.
const REFUSED: u64 = 16;
/// One in this number of pairs loses its connection at first.
const DROPPED: u64 = 64;
/// One in this number of pairs is answered late.
const LATE: u64 = 64;
/// The delay of a late answer.
const LATENESS: Duration = Duration::from_millis(300);

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
    books: Mutex<Books>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Books {
    subscribers: Vec<Subscriber>,
    /// Webhooks whose endpoint answers only errors.
    failing: HashSet<Place>,
    /// Webhooks whose events need not arrive, because they may be discarded or held instead.
    excused: HashSet<Place>,
    kinds: Vec<KindRow>,
    events: HashMap<Ulid, Sent>,
    confirmed: usize,
    pairs: HashMap<(Ulid, Place), Seen>,
    attempts: HashSet<Ulid>,
    /// The number of pairs that have to arrive, and the number of arrived ones.
    due: usize,
    arrived: usize,
    wrongs: Wrongs,
}

#[derive(Debug)]
struct KindRow {
    brand: String,
    event_type: String,
    places: Vec<Place>,
}

/// An event that a producer got to publish.
#[derive(Debug, Clone, Copy)]
struct Sent {
    kind: Kind,
    number: u64,
    created: i64,
    confirmed: bool,
    /// Whether it may be among the rejected messages instead.
    disputed: bool,
}

/// The observations of a pair at its endpoint.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    requests: u32,
    accepted: u32,
}

/// Requests that must not occur.
#[derive(Debug, Default, Clone)]
pub struct Wrongs {
    /// Requests that differ from the published event, or have a wrong signature.
    pub altered: usize,
    /// Requests without a published event.
    pub invented: usize,
    /// Descriptions of some of them.
    pub words: Vec<String>,
}

/// The counts of a run.
#[derive(Debug, Clone)]
pub struct Count {
    /// Events that were confirmed.
    pub events: usize,
    /// Pairs of an event and a webhook to which it was owed.
    pub pairs: usize,
    /// Pairs that have to arrive and have not.
    pub missing: usize,
    /// Requests that were accepted although the pair had arrived before.
    pub duplicates: usize,
    /// Requests that must not occur.
    pub wrongs: Wrongs,
}

impl Wrongs {
    fn word(&mut self, what: String) {
        if self.words.len() < WORDS {
            self.words.push(what);
        }
    }
}

impl Ledger {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The position of the next webhook.
    #[must_use]
    pub fn next_place(&self) -> Place {
        self.books().subscribers.len()
    }

    /// Adds a webhook that gets all events of these kinds from now on.
    pub fn subscribe(&self, subscriber: Subscriber, kinds: &[Kind]) -> Place {
        let mut books = self.books();
        let place = books.subscribers.len();
        books.subscribers.push(subscriber);
        for kind in kinds {
            books.kinds[*kind].places.push(place);
        }
        place
    }

    /// Adds a kind of events.
    pub fn kind(&self, brand: &str, event_type: &str) -> Kind {
        let mut books = self.books();
        let row = KindRow { brand: brand.to_owned(), event_type: event_type.to_owned(), places: Vec::new() };
        books.kinds.push(row);
        books.kinds.len() - 1
    }

    /// Makes a webhook's endpoint answer 500 to everything from now on, or ends that.
    pub fn fail(&self, place: Place, fails: bool) {
        let mut books = self.books();
        if fails {
            books.failing.insert(place)
        } else {
            books.failing.remove(&place)
        };
    }

    /// Marks a webhook that will be deleted, so that its remaining events need not arrive, but must be
    /// visible.
    pub fn excuse(&self, place: Place) {
        self.books().excused.insert(place);
    }

    /// Returns all webhooks in order.
    #[must_use]
    pub fn subscribers(&self) -> Vec<Subscriber> {
        self.books().subscribers.clone()
    }

    /// Creates an event of a kind.
    pub fn draw(&self, kind: Kind) -> Event {
        let event = self.draw_disputed(kind);
        let id = event.id().parse().expect("a ULID");
        let mut books = self.books();
        books.events.get_mut(&id).expect("a drawn event").disputed = false;
        books.due += books.due_of(id).count();
        event
    }

    /// Creates an event of a kind that does not have to arrive, because the router may reject it.
    pub fn draw_disputed(&self, kind: Kind) -> Event {
        let mut books = self.books();
        let number = books.events.len() as u64;
        let created = chrono::Utc::now().timestamp_millis();
        let id = Ulid::generate();
        books.events.insert(id, Sent { kind, number, created, confirmed: false, disputed: true });
        let row = &books.kinds[kind];
        let event = Event::new(&row.brand, &row.event_type).data(&data(number)).created(&time(created));
        Event { id: Some(id.to_string()), ..event }
    }

    /// Records that the broker has confirmed an event, so that it is owed.
    pub fn confirm(&self, event: &Event) {
        let mut books = self.books();
        let id: Ulid = event.id().parse().expect("a ULID");
        let sent = books.events.get_mut(&id).expect("an event of this ledger");
        let first = !std::mem::replace(&mut sent.confirmed, true);
        books.confirmed += usize::from(first);
    }

    /// Records that an event was rejected, so that it does not have to arrive. The judge decides whether the
    /// rejection was right. Returns false when this ledger has no such event.
    pub fn dispute(&self, id: &str) -> bool {
        let mut books = self.books();
        let Some(id) = id.parse().ok().filter(|id| books.events.contains_key(id)) else { return false };
        if !books.events[&id].disputed {
            let due: Vec<Seen> = books.due_of(id).collect();
            books.due -= due.len();
            books.arrived -= due.iter().filter(|seen| seen.accepted > 0).count();
            books.events.get_mut(&id).expect("an event of this ledger").disputed = true;
        }
        true
    }

    /// Returns the webhooks to which an event is owed, unless it was rejected.
    #[must_use]
    pub fn places(&self, id: &str) -> Vec<Place> {
        let books = self.books();
        id.parse().map(|id| books.owed(id).map(|(place, _)| place).collect()).unwrap_or_default()
    }

    /// Returns the number of confirmed events.
    #[must_use]
    pub fn confirmed(&self) -> usize {
        self.books().confirmed
    }

    /// Describes the pairs of these events that no endpoint has seen.
    #[must_use]
    pub fn unseen(&self, events: &[Event]) -> Vec<String> {
        self.seen_less_than(1, events, None)
    }

    /// Describes the pairs of these events with fewer requests than this. Pairs of the webhook `but` do not
    /// count.
    #[must_use]
    pub fn seen_less_than(&self, requests: u32, events: &[Event], but: Option<Place>) -> Vec<String> {
        let books = self.books();
        let ids = events.iter().map(|event| event.id().parse::<Ulid>().expect("a ULID"));
        ids.flat_map(|id| books.owed(id).map(move |(place, seen)| (id, place, seen)))
            .filter(|(_, place, seen)| seen.requests < requests && Some(*place) != but)
            .map(|(id, place, _)| format!("{id} at {place} ({})", books.subscribers[place].webhook.id))
            .collect()
    }

    /// Returns the events among these that an endpoint has received and not accepted yet.
    #[must_use]
    pub fn refused(&self, events: &[Event]) -> Vec<Event> {
        let books = self.books();
        let refused = |event: &&Event| {
            let id = event.id().parse().expect("a ULID");
            books.owed(id).any(|(_, seen)| seen.requests > 0 && seen.accepted == 0)
        };
        events.iter().filter(refused).cloned().collect()
    }

    /// Waits until `enough` returns true, checking after each arrival.
    ///
    /// # Errors
    /// When it is not true within `timeout`.
    pub async fn wait(
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
    pub fn missing(&self) -> usize {
        let books = self.books();
        books.due - books.arrived
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn count(&self) -> Count {
        let books = self.books();
        let pairs = books.events.values().map(|sent| books.kinds[sent.kind].places.len()).sum();
        let duplicates = books.pairs.values().map(|seen| seen.accepted.saturating_sub(1) as usize).sum();
        let wrongs = books.wrongs.clone();
        let missing = books.due - books.arrived;
        Count { events: books.confirmed, pairs, missing, duplicates, wrongs }
    }

    /// Returns how an event owed to a webhook must look in Get Events; `None` when it was not owed.
    #[must_use]
    pub fn owed(&self, place: Place, id: &str) -> Option<Owed> {
        let books = self.books();
        let id: Ulid = id.parse().ok()?;
        let (_, seen) = books.owed(id).find(|(at, _)| *at == place)?;
        let sent = books.events[&id];
        let event_type = books.kinds[sent.kind].event_type.clone();
        let created = time(sent.created);
        let data = data(sent.number);
        let requests = seen.requests;
        let accepted = seen.accepted > 0;
        let disputed = sent.disputed;
        let excused = books.excused.contains(&place);
        Some(Owed { event_type, created, data, requests, accepted, disputed, excused })
    }

    /// Returns the number of confirmed events owed to a webhook, without disputed ones.
    #[must_use]
    pub fn owed_to(&self, place: Place) -> usize {
        let books = self.books();
        let wanted =
            |sent: &&Sent| sent.confirmed && !sent.disputed && books.kinds[sent.kind].places.contains(&place);
        books.events.values().filter(wanted).count()
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

impl Books {
    /// The webhooks to which an event is owed, with their observations of it.
    fn owed(&self, id: Ulid) -> impl Iterator<Item = (Place, Seen)> {
        let places = self.events.get(&id).map(|sent| self.kinds[sent.kind].places.as_slice());
        let seen = move |place: &Place| (*place, self.pairs.get(&(id, *place)).copied().unwrap_or_default());
        places.unwrap_or_default().iter().map(seen)
    }

    /// The observations of an event at each webhook that it has to reach.
    fn due_of(&self, id: Ulid) -> impl Iterator<Item = Seen> {
        self.owed(id).filter(|(place, _)| !self.excused.contains(place)).map(|(_, seen)| seen)
    }

    /// Records an arrival, and returns the answer.
    fn arrive(&mut self, id: Ulid, place: Place) -> Reply {
        let failing = self.failing.contains(&place);
        let counts = !self.excused.contains(&place) && !self.events[&id].disputed;
        let seen = self.pairs.entry((id, place)).or_default();
        seen.requests += 1;
        let reply = if failing { Reply::status(500) } else { reply(id, place, seen.requests) };
        if matches!(&reply, Reply::Answer(answer) if answer.status == 200) {
            seen.accepted += 1;
            self.arrived += usize::from(seen.accepted == 1 && counts);
        }
        reply
    }

    /// Returns the expected request with this attempt's id; an error when the pair is not owed.
    fn expected(&self, id: Ulid, place: Place, attempt: Ulid) -> Result<String, String> {
        let sent = self.events.get(&id).ok_or("no such event was published")?;
        let row = &self.kinds[sent.kind];
        if !row.places.contains(&place) {
            return Err(format!("the webhook is not subscribed to {} of {}", row.event_type, row.brand));
        }
        let webhook = &self.subscribers[place].webhook.id;
        Ok(format!(
            r#"{{"id":"{id}","brandId":"{}","webhookId":"{webhook}","attemptId":"{attempt}","created":"{}","type":"{}","data":{}}}"#,
            row.brand,
            time(sent.created),
            row.event_type,
            data(sent.number)
        ))
    }
}

impl Witness for Ledger {
    fn answer(&self, request: &Received) -> Reply {
        let reply = self.judge(request);
        self.changed.send_replace(());
        reply
    }
}

impl Ledger {
    fn judge(&self, request: &Received) -> Reply {
        let read = || {
            let place: Place = request.path.strip_prefix('/')?.parse().ok()?;
            let id: Ulid = field(request.text(), "id")?.parse().ok()?;
            let attempt: Ulid = field(request.text(), "attemptId")?.parse().ok()?;
            Some((place, id, attempt))
        };
        let Some((place, id, attempt)) = read() else { return self.invented("unreadable", request) };
        let Some(subscriber) = self.books().subscribers.get(place).cloned() else {
            return self.invented("no such webhook", request);
        };
        let signed =
            signature::verify(&subscriber.webhook.secret, &request.headers, &request.body, signature::now());
        let mut books = self.books();
        let expected = match books.expected(id, place, attempt) {
            Ok(expected) => expected,
            Err(why) => {
                drop(books);
                return self.invented(&why, request);
            }
        };
        let fresh = books.attempts.insert(attempt);
        if expected != request.text() || signed.is_err() || !fresh {
            books.wrongs.altered += 1;
            let words = format!("{} instead of {expected} ({signed:?}, {fresh})", request.text());
            books.wrongs.word(words);
        }
        books.arrive(id, place)
    }

    fn invented(&self, why: &str, request: &Received) -> Reply {
        let mut books = self.books();
        books.wrongs.invented += 1;
        books.wrongs.word(format!("{why}: {} at {}", request.text(), request.path));
        Reply::ok()
    }
}

/// Returns a text field of an envelope that has exactly our form.
fn field<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = body.split_once(&format!(r#""{name}":""#))?;
    rest.split_once('"').map(|(value, _)| value)
}

/// Returns an endpoint's answer to a request of a pair; most are accepted at once, some only the second time.
fn reply(id: Ulid, place: Place, request: u32) -> Reply {
    let chance = mix(id.random() as u64 ^ (place as u64));
    match request {
        1 if chance.is_multiple_of(REFUSED) => Reply::status(503),
        1 if (chance >> 8).is_multiple_of(DROPPED) => Reply::Drop,
        _ if (chance >> 16).is_multiple_of(LATE) => Reply::ok().after(LATENESS),
        _ => Reply::ok(),
    }
}

/// Returns data that arrives unchanged only if nobody parses and prints it.
fn data(number: u64) -> String {
    let padding = "x".repeat(usize::try_from(number % 7).unwrap_or(0) * 100);
    format!(
        r#"{{"z":{number},"amount":1.50,"big":123456789012345678901234567890,"text":"é \u00e9 \/ \"{padding}\"","a":[1e2,-0]}}"#
    )
}

/// Formats a time as the contract does.
fn time(millis: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(millis).expect("a time of this age");
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}
