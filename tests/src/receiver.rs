//! The endpoint owner's server, which speaks HTTPS on 127.0.0.1, keeps every request and answers by script.

mod serve;

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Version};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::PATIENCE;
use crate::ports::Port;
use crate::script::{Reply, Script};
use crate::signature;
use crate::tls::{Authority, server_config};

/// Any free port of this machine.
const ANY_PORT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

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
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.text())).to_owned()
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
        signature::verify(secret, &self.headers, &self.body, signature::now())
    }
}

/// Judges and answers requests as they come, where there are too many to keep.
pub trait Witness: Send + Sync + std::fmt::Debug {
    /// Returns the answer to a request.
    fn answer(&self, request: &Received) -> Reply;
}

/// The state that the connections and the test share.
#[derive(Debug)]
struct Shared {
    witness: Option<Arc<dyn Witness>>,
    paths: Mutex<HashMap<String, PathState>>,
    changed: watch::Sender<usize>,
    connections: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct PathState {
    script: Script,
    /// The answers to each event, one attempt after the other, in place of the script.
    each: Vec<Reply>,
    requests: Vec<Arc<Received>>,
    in_flight: usize,
    most_in_flight: usize,
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
    fn paths(&self) -> MutexGuard<'_, HashMap<String, PathState>> {
        self.paths.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Records that a request is being served.
    fn enter(&self, path: &str) {
        let mut paths = self.paths();
        let state = paths.entry(path.to_owned()).or_default();
        state.in_flight += 1;
        state.most_in_flight = state.most_in_flight.max(state.in_flight);
    }

    fn leave(&self, path: &str) {
        if let Some(state) = self.paths().get_mut(path) {
            state.in_flight -= 1;
        }
    }

    /// Keeps a request and returns the answer.
    fn keep(&self, path: &str, request: Received) -> Reply {
        if let Some(witness) = &self.witness {
            return witness.answer(&request);
        }
        let reply = {
            let mut paths = self.paths();
            let state = paths.entry(path.to_owned()).or_default();
            let reply = state.reply(request.header("webhook-id"));
            state.requests.push(Arc::new(request));
            reply
        };
        self.changed.send_modify(|n| *n += 1);
        reply
    }
}

/// An HTTPS server that stops when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl Receiver {
    /// Starts a receiver with a certificate of this authority that speaks HTTP/2 and HTTP/1.1.
    pub async fn start(authority: &Authority) -> Self {
        Self::start_with(authority, &["h2", "http/1.1"]).await
    }

    /// Starts a receiver that keeps nothing and passes each request to this witness, which answers it.
    pub async fn start_before(authority: &Authority, witness: Arc<dyn Witness>) -> Self {
        Self::listen(authority, &["h2", "http/1.1"], ANY_PORT, Some(witness)).await
    }

    /// Starts a receiver that offers these protocols.
    pub async fn start_with(authority: &Authority, alpn: &[&str]) -> Self {
        Self::listen(authority, alpn, ANY_PORT, None).await
    }

    /// Starts a receiver on this port, which was closed so far.
    pub async fn start_on(authority: &Authority, port: &Port) -> Self {
        Self::listen(authority, &["h2", "http/1.1"], port.address(), None).await
    }

    async fn listen(
        authority: &Authority,
        alpn: &[&str],
        address: SocketAddr,
        witness: Option<Arc<dyn Witness>>,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            witness,
            paths: Mutex::default(),
            changed: watch::Sender::new(0),
            connections: watch::Sender::new(0),
        });
        let tls = server_config(&authority.identity(), alpn);
        let accepting = tokio::spawn(serve::accept(listener, tls, shared.clone()));
        Self { shared, address, accepting }
    }

    /// Returns the endpoint at this path, which begins with `/`.
    #[must_use]
    pub fn endpoint(&self, path: &str) -> Endpoint {
        let url = format!("https://localhost:{}{path}", self.address.port());
        Endpoint { shared: self.shared.clone(), path: path.to_owned(), url }
    }

    /// Returns the number of connections opened so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }

    /// Returns its listening port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One path of a receiver, with its answers and its requests.
#[derive(Debug, Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
    path: String,
    url: String,
}

impl Endpoint {
    /// Returns its URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Answers with these from now on, one for each request, the last for all further ones.
    pub fn answer(&self, replies: impl IntoIterator<Item = Reply>) {
        let mut paths = self.shared.paths();
        let state = paths.entry(self.path.clone()).or_default();
        (state.script, state.each) = (Script::new(replies), Vec::new());
    }

    /// Answers each event with these from now on, one for each of its attempts, the last for all further
    /// ones, regardless of the order of events.
    pub fn answer_each(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.paths().entry(self.path.clone()).or_default().each = replies.into_iter().collect();
    }

    /// Answers with this from now on.
    pub fn always(&self, reply: Reply) {
        self.answer([reply]);
    }

    /// Returns the requests so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Arc<Received>> {
        self.shared.paths().get(&self.path).map(|state| state.requests.clone()).unwrap_or_default()
    }

    /// Returns the number of requests for each event so far.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for request in self.requests() {
            *counts.entry(request.event_id()).or_default() += 1;
        }
        counts
    }

    /// Returns the requests so far for one event, in order.
    #[must_use]
    pub fn requests_of(&self, event: &str) -> Vec<Arc<Received>> {
        self.requests().into_iter().filter(|request| request.event_id() == event).collect()
    }

    /// Returns the maximum number of requests that were served at the same time.
    #[must_use]
    pub fn most_in_flight(&self) -> usize {
        self.shared.paths().get(&self.path).map_or(0, |state| state.most_in_flight)
    }

    /// Returns the same maximum so far, and starts a new count.
    #[must_use]
    pub fn forget_most_in_flight(&self) -> usize {
        let mut paths = self.shared.paths();
        paths.get_mut(&self.path).map_or(0, |state| std::mem::take(&mut state.most_in_flight))
    }

    /// Waits for this number of requests.
    pub async fn wait_for(&self, number: usize) -> Vec<Arc<Received>> {
        self.wait_until(&format!("{number} requests at {}", self.path), PATIENCE, |all| all.len() >= number)
            .await
    }

    /// Waits for a request with this event.
    ///
    /// # Panics
    /// When it does not arrive in time.
    pub async fn wait_for_event(&self, id: &str) -> Arc<Received> {
        let what = format!("event {id} at {}", self.path);
        let all = self.wait_until(&what, PATIENCE, |all| all.iter().any(|r| r.event_id() == id)).await;
        all.into_iter().find(|r| r.event_id() == id).expect("it was there")
    }

    /// Waits until the requests satisfy `wanted`.
    ///
    /// # Panics
    /// When they do not within `timeout`.
    pub async fn wait_until(
        &self,
        what: &str,
        timeout: Duration,
        wanted: impl Fn(&[Arc<Received>]) -> bool,
    ) -> Vec<Arc<Received>> {
        let mut changed = self.shared.changed.subscribe();
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            changed.borrow_and_update();
            let all = self.requests();
            if wanted(&all) {
                return all;
            }
            if tokio::time::timeout_at(deadline, changed.changed()).await.is_err() {
                panic!("not within {timeout:?}: {what}; {} requests came: {}", all.len(), summary(&all));
            }
        }
    }
}

/// Describes the last few requests in a line each.
fn summary(all: &[Arc<Received>]) -> String {
    let line =
        |r: &Arc<Received>| format!("\n  {} {} {}", r.method, r.path, String::from_utf8_lossy(&r.body));
    all.iter().rev().take(5).map(line).collect()
}
