//! The endpoint owner's server, which speaks HTTPS on 127.0.0.1, keeps every request and answers by script.

mod requests;
mod serve;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::requests::Shared;
pub use self::requests::{Received, Witness};
use crate::WAIT_TIMEOUT;
use crate::poll::pause_after;
use crate::ports::Port;
use crate::script::{Reply, Script};
use crate::tls::{Authority, server_config};

/// Any free port of this machine.
const ANY_PORT: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0));

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
    pub async fn start_with_witness(authority: &Authority, witness: Arc<dyn Witness>) -> Self {
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
        let accepting = tokio::spawn(serve::accept_connections(listener, tls, shared.clone()));
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
    pub fn count_connections(&self) -> usize {
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
        let mut paths = self.shared.lock_paths();
        let state = paths.entry(self.path.clone()).or_default();
        (state.script, state.each) = (Script::new(replies), Vec::new());
    }

    /// Answers each event with these from now on, one for each of its attempts, the last for all further
    /// ones, regardless of the order of events.
    pub fn answer_each(&self, replies: impl IntoIterator<Item = Reply>) {
        self.shared.lock_paths().entry(self.path.clone()).or_default().each = replies.into_iter().collect();
    }

    /// Answers with this from now on.
    pub fn always(&self, reply: Reply) {
        self.answer([reply]);
    }

    /// Returns the requests so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Arc<Received>> {
        self.shared.lock_paths().get(&self.path).map(|state| state.requests.clone()).unwrap_or_default()
    }

    /// Returns the number of requests for each event so far.
    #[must_use]
    pub fn count_by_event(&self) -> BTreeMap<String, u64> {
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
    pub fn max_in_flight(&self) -> usize {
        self.shared.lock_paths().get(&self.path).map_or(0, |state| state.max_in_flight)
    }

    /// Returns the same maximum so far, and starts a new count.
    #[must_use]
    pub fn reset_max_in_flight(&self) -> usize {
        let mut paths = self.shared.lock_paths();
        paths.get_mut(&self.path).map_or(0, |state| std::mem::take(&mut state.max_in_flight))
    }

    /// Waits for this number of requests.
    pub async fn wait_for_requests(&self, number: usize) -> Vec<Arc<Received>> {
        self.wait_until(&format!("{number} requests at {}", self.path), WAIT_TIMEOUT, |all| {
            all.len() >= number
        })
        .await
    }

    /// Waits for a request with this event.
    ///
    /// # Panics
    /// When it does not arrive in time.
    pub async fn wait_for_event(&self, id: &str) -> Arc<Received> {
        let what = format!("event {id} at {}", self.path);
        let all = self.wait_until(&what, WAIT_TIMEOUT, |all| all.iter().any(|r| r.event_id() == id)).await;
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
            let begun = tokio::time::Instant::now();
            let all = self.requests();
            if wanted(&all) {
                return all;
            }
            tokio::time::sleep(pause_after(begun.elapsed())).await;
            if tokio::time::timeout_at(deadline, changed.changed()).await.is_err() {
                panic!("not within {timeout:?}: {what}; {} requests came: {}", all.len(), summarize(&all));
            }
        }
    }
}

/// Describes the last few requests in a line each.
fn summarize(all: &[Arc<Received>]) -> String {
    let line =
        |r: &Arc<Received>| format!("\n  {} {} {}", r.method, r.path, String::from_utf8_lossy(&r.body));
    all.iter().rev().take(5).map(line).collect()
}
