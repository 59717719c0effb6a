//! Connections that wait for the next request to their host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use runtime::tasks;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::round_trip::{Http1, Http2, Open};

/// How long an unused connection is kept: just below the five seconds after which common servers close theirs.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// Unused connections kept for one host, which many webhooks may share. Further connections are closed after each
/// request, and the handshake of the next costs several times as much as the request.
const MAX_IDLE_PER_HOST: usize = 1000;
/// How often connections that were unused for too long are closed.
const PURGE_INTERVAL: Duration = Duration::from_secs(1);

/// The host and port that connections lead to, such as `example.com:8443`.
pub(crate) type Host = Arc<str>;

/// Unused connections by their host.
#[derive(Debug, Clone, Default)]
pub(super) struct Pool(Arc<Hosts>);

type Hosts = Mutex<HashMap<Host, Kept>>;

/// The connections to one host.
#[derive(Debug, Default)]
struct Kept {
    /// Connections with no request, the latest at the end.
    http1: Vec<(Http1, Instant)>,
    /// A connection that any number of requests share, and when it was used last.
    http2: Option<(Http2, Instant)>,
}

impl Pool {
    /// Creates a pool that closes connections that are unused for too long.
    pub(super) fn start() -> Self {
        let pool = Self::default();
        let hosts = Arc::downgrade(&pool.0);
        tasks::spawn_named("idle connections", async move {
            let mut ticks = interval(PURGE_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(hosts) = Weak::upgrade(&hosts) else { return };
                purge(&mut lock(&hosts));
            }
        });
        pool
    }

    /// Takes the connection that was used last and can serve a request.
    pub(super) fn take(&self, host: &str) -> Option<Open> {
        let mut hosts = lock(&self.0);
        let kept = hosts.get_mut(host)?;
        kept.drop_stale_http2();
        if let Some((shared, used)) = &mut kept.http2 {
            *used = Instant::now();
            return Some(Open::Http2(shared.clone()));
        }
        while let Some((connection, used)) = kept.http1.pop() {
            if used.elapsed() < IDLE_TIMEOUT && connection.is_usable() {
                return Some(Open::Http1(connection));
            }
        }
        None
    }

    /// Keeps a connection for the next request.
    pub(super) fn keep(&self, host: &Host, connection: Open) {
        let mut hosts = lock(&self.0);
        let kept = hosts.entry(Arc::clone(host)).or_default();
        let now = Instant::now();
        match connection {
            Open::Http1(connection) if kept.http1.len() < MAX_IDLE_PER_HOST => {
                kept.http1.push((connection, now));
            }
            Open::Http1(_) => {}
            Open::Http2(shared) => {
                kept.drop_stale_http2();
                kept.http2.get_or_insert((shared, now));
            }
        }
    }
}

impl Kept {
    /// Forgets the shared connection if it is unused for too long, or was closed.
    fn drop_stale_http2(&mut self) {
        self.http2.take_if(|(shared, used)| used.elapsed() >= IDLE_TIMEOUT || !shared.is_usable());
    }
}

fn lock(hosts: &Hosts) -> MutexGuard<'_, HashMap<Host, Kept>> {
    // A poisoned lock is safe to use, because no panic can leave a list of connections half changed.
    hosts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes connections that are unused for too long, or were closed by their host.
fn purge(hosts: &mut HashMap<Host, Kept>) {
    hosts.retain(|_, kept| {
        kept.http1.retain(|(connection, used)| used.elapsed() < IDLE_TIMEOUT && connection.is_usable());
        kept.drop_stale_http2();
        !kept.http1.is_empty() || kept.http2.is_some()
    });
}
