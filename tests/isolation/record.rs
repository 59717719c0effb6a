//! Everything that happened to the victim, with times. A confirmed event is owed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use e2e::receiver::{Received, Witness};
use e2e::script::Reply;

use crate::samples::{Samples, Window};

/// The victim's flow is back when nothing older than this is on the way.
const FLOWING_LATENCY: Duration = Duration::from_secs(1);

/// The path of the webhook that the victim creates beside the attack.
pub(crate) const SECOND_PATH: &str = "/second";

/// The record, which is also the victim's endpoint.
#[derive(Debug)]
pub(crate) struct Record {
    state: Mutex<State>,
    reply: Reply,
}

#[derive(Debug, Default)]
struct State {
    /// The first request of the webhook that is created beside the attack.
    second_webhook_called: bool,
    events: BTreeMap<String, Sent>,
    calls: Vec<Call>,
    faults: Vec<(Instant, String)>,
    invented: usize,
}

/// An event of the victim.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) published: Instant,
    pub(crate) confirmed: bool,
    pub(crate) arrived: Option<Instant>,
    pub(crate) arrivals: usize,
}

/// An API call of the victim.
#[derive(Debug)]
struct Call {
    began: Instant,
    /// Its duration, and the reason why it counts as an error; `None` while it is under way.
    ended: Option<(Duration, Option<String>)>,
}

impl Witness for Record {
    fn answer(&self, request: &Received) -> Reply {
        let mut state = self.lock();
        if request.path == SECOND_PATH {
            state.second_webhook_called = true;
            return self.reply.clone();
        }
        match state.events.get_mut(request.header("webhook-id")) {
            Some(sent) => {
                sent.arrived.get_or_insert(request.at);
                sent.arrivals += 1;
            }
            None => state.invented += 1,
        }
        self.reply.clone()
    }
}

impl Record {
    /// Creates an empty record whose endpoint answers with `reply`.
    pub(crate) fn new(reply: Reply) -> Self {
        Self { state: Mutex::default(), reply }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add_event(&self, id: &str) {
        let sent = Sent { published: Instant::now(), confirmed: false, arrived: None, arrivals: 0 };
        self.lock().events.insert(id.to_owned(), sent);
    }

    pub(crate) fn confirm_event(&self, id: &str) {
        self.lock().events.get_mut(id).expect("an event of this record").confirmed = true;
    }

    /// Begins an API call, and returns its number.
    pub(crate) fn begin_call(&self) -> usize {
        let mut state = self.lock();
        state.calls.push(Call { began: Instant::now(), ended: None });
        state.calls.len() - 1
    }

    pub(crate) fn end_call(&self, number: usize, problem: Option<String>) {
        let call = &mut self.lock().calls[number];
        call.ended = Some((call.began.elapsed(), problem));
    }

    /// Returns whether the second webhook has been called.
    pub(crate) fn is_second_webhook_called(&self) -> bool {
        self.lock().second_webhook_called
    }

    /// Returns whether every call of this window is answered and every event has arrived.
    pub(crate) fn is_settled(&self, window: Window) -> bool {
        let state = self.lock();
        let called = state.calls.iter().all(|call| !window.contains(call.began) || call.ended.is_some());
        called && state.events.values().all(|sent| !window.contains(sent.published) || sent.arrived.is_some())
    }

    pub(crate) fn add_fault(&self, fault: String) {
        self.lock().faults.push((Instant::now(), fault));
    }

    /// Returns whether an event published after `since` has arrived and none is late.
    pub(crate) fn is_flowing_since(&self, since: Instant) -> bool {
        let state = self.lock();
        let arrived = |sent: &&Sent| sent.published > since && sent.arrived.is_some();
        let late = |sent: &Sent| sent.arrived.is_none() && sent.published.elapsed() > FLOWING_LATENCY;
        state.events.values().rev().any(|sent| arrived(&sent)) && !state.events.values().any(late)
    }

    /// Returns whether an API call that began after `since` succeeded.
    pub(crate) fn is_answered_since(&self, since: Instant) -> bool {
        self.lock().calls.iter().any(|call| call.began > since && matches!(call.ended, Some((_, None))))
    }

    /// Returns the ids of the owed events that have not arrived.
    pub(crate) fn missing(&self) -> Vec<String> {
        let state = self.lock();
        let missing = state.events.iter().filter(|(_, sent)| sent.confirmed && sent.arrived.is_none());
        missing.map(|(id, _)| id.clone()).collect()
    }

    /// Returns all events by their ids.
    pub(crate) fn events(&self) -> BTreeMap<String, Sent> {
        self.lock().events.clone()
    }

    /// Returns the number of requests without a published event.
    pub(crate) fn invented(&self) -> usize {
        self.lock().invented
    }

    /// Returns the times from publish to arrival of the events published in this window.
    pub(crate) fn deliveries(&self, window: Window) -> Samples {
        let state = self.lock();
        let latency = |sent: &Sent| Some(sent.arrived?.duration_since(sent.published));
        state.events.values().filter(|sent| window.contains(sent.published)).filter_map(latency).collect()
    }

    /// Returns the times of the API calls that began in this window.
    pub(crate) fn calls(&self, window: Window) -> Samples {
        let state = self.lock();
        state
            .calls
            .iter()
            .filter(|call| window.contains(call.began))
            .filter_map(|call| Some(call.ended.as_ref()?.0))
            .collect()
    }

    /// Describes the errors of the API calls and of the producer in this window.
    pub(crate) fn errors(&self, window: Window) -> Vec<String> {
        let state = self.lock();
        let calls = state.calls.iter().filter(|call| window.contains(call.began));
        let faults = state.faults.iter().filter(|(at, _)| window.contains(*at));
        calls
            .filter_map(|call| call.ended.as_ref()?.1.clone())
            .chain(faults.map(|(_, fault)| fault.clone()))
            .collect()
    }
}
