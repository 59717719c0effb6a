//! The requests of a receiver, and the state that its connections and the test share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Version};
use serde_json::value::RawValue;
use tokio::sync::watch;

use crate::script::{Reply, Script};
use crate::signature;

/// A received request.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
    /// The arrival of its headers.
    pub at: Instant,
    /// The number of its connection, counted from 1.
    pub connection: usize,
}

impl Received {
    /// A header as text.
    ///
    /// # Panics
    /// When it is missing or not text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value =
            self.headers.get(name).unwrap_or_else(|| panic!("no header {name} in {:?}", self.headers));
        value.to_str().expect("a header of text")
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of UTF-8")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {:?}", self.body))
    }

    /// Returns a text field of the envelope, such as `attemptId`.
    ///
    /// # Panics
    /// When it is missing.
    #[must_use]
    pub fn field(&self, name: &str) -> String {
        // The data may be JSON that a parsed value cannot hold.
        let fields: HashMap<String, &RawValue> =
            serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e} in {}", self.text()));
        let text = fields.get(name).and_then(|value| serde_json::from_str(value.get()).ok());
        text.unwrap_or_else(|| panic!("no {name} in {}", self.text()))
    }

    /// The event's id.
    #[must_use]
    pub fn event_id(&self) -> String {
        self.field("id")
    }

    /// Verifies the signature with this secret.
    ///
    /// # Errors
    /// Describes the defect of the signature.
    pub fn verify(&self, secret: &str) -> Result<(), String> {
        signature::verify(secret, &self.headers, &self.body, signature::unix_now())
    }
}

/// Judges and answers requests as they come, where there are too many to keep.
pub trait Witness: Send + Sync + std::fmt::Debug {
    /// Returns the answer to a request.
    fn answer(&self, request: &Received) -> Reply;
}

/// The state that the connections and the test share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) witness: Option<Arc<dyn Witness>>,
    pub(super) paths: Mutex<HashMap<String, PathState>>,
    pub(super) changed: watch::Sender<usize>,
    pub(super) connections: watch::Sender<usize>,
}

#[derive(Debug, Default)]
pub(super) struct PathState {
    pub(super) script: Script,
    /// The answers to each event, one attempt after the other, in place of the script.
    pub(super) each: Vec<Reply>,
    pub(super) requests: Vec<Arc<Received>>,
    in_flight: usize,
    pub(super) max_in_flight: usize,
}

impl PathState {
    fn reply(&mut self, event: &str) -> Reply {
        let attempts =
            || self.requests.iter().filter(|request| request.header("webhook-id") == event).count();
        match self.each.last() {
            Some(last) => self.each.get(attempts()).unwrap_or(last).clone(),
            None => self.script.next(),
        }
    }
}

impl Shared {
    pub(super) fn lock_paths(&self) -> MutexGuard<'_, HashMap<String, PathState>> {
        self.paths.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Records that a request is being served.
    pub(super) fn enter(&self, path: &str) {
        let mut paths = self.lock_paths();
        let state = paths.entry(path.to_owned()).or_default();
        state.in_flight += 1;
        state.max_in_flight = state.max_in_flight.max(state.in_flight);
    }

    pub(super) fn leave(&self, path: &str) {
        if let Some(state) = self.lock_paths().get_mut(path) {
            state.in_flight -= 1;
        }
    }

    /// Keeps a request and returns the answer.
    pub(super) fn record(&self, path: &str, request: Received) -> Reply {
        if let Some(witness) = &self.witness {
            return witness.answer(&request);
        }
        let reply = {
            let mut paths = self.lock_paths();
            let state = paths.entry(path.to_owned()).or_default();
            let reply = state.reply(request.header("webhook-id"));
            state.requests.push(Arc::new(request));
            reply
        };
        self.changed.send_modify(|n| *n += 1);
        reply
    }
}
