//! The hosts of a connection, and which of them answered last.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::connection::session::Lineage;

/// Bounds the connection to an address when there is another one. It includes TCP, TLS, the authentication and the check
/// of the session. A server that hangs, or whose packets are dropped, is passed by after it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);
/// The same for the only address. Nothing is gained by giving up on it early.
const ONLY_ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Addresses of a name that are tried.
pub(crate) const MAX_ADDRESSES: usize = 4;
/// Time between two departures from a host, because each closes all connections to it.
const LEAVE_INTERVAL: Duration = Duration::from_secs(1);

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A name, which is also verified in the certificate, and its address unless the name has to be looked up.
    Tcp { name: String, address: Option<IpAddr> },
    /// A directory with a Unix socket.
    Unix(PathBuf),
}

/// A host of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) place: Place,
    pub(crate) port: u16,
}

/// An address that a connection was opened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// The position of the host in the list.
    pub(crate) host: usize,
    /// `None` for a Unix socket.
    pub(crate) address: Option<IpAddr>,
}

/// The hosts, shared by all pools of a process.
#[derive(Debug)]
pub(crate) struct Hosts {
    list: Vec<Host>,
    /// The bound on a connection that was asked for.
    connect_timeout: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The host that is tried first.
    first: usize,
    /// The target of the latest connection.
    last_good: Option<Target>,
    /// When this process left a host. Connections that are older are closed.
    left_at: Option<Instant>,
    /// The newest history of the data that this process has seen.
    lineage: Option<Lineage>,
}

impl State {
    /// Notes the history of a server's data. Returns whether the server is the successor of all servers before it.
    ///
    /// A primary that hung while its standby was promoted goes on as if it were the primary still.
    fn follow(&mut self, found: Option<Lineage>) -> bool {
        match (self.lineage, found) {
            (Some(known), Some(found)) if known.system == found.system && found.timeline < known.timeline => {
                false
            }
            (_, Some(found)) => {
                self.lineage = Some(found);
                true
            }
            (_, None) => true,
        }
    }
}

/// The server was the primary before a standby was promoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FormerPrimary;

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.place {
            Place::Tcp { name, .. } if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            Place::Tcp { name, .. } => write!(f, "{name}:{}", self.port),
            Place::Unix(path) => write!(f, "{}:{}", path.display(), self.port),
        }
    }
}

impl Hosts {
    /// Creates the memory of a list of hosts, which is not empty. With `is_random` this process begins with any of them.
    pub(crate) fn new(list: Vec<Host>, connect_timeout: Option<Duration>, is_random: bool) -> Self {
        let first = if is_random { rand::random_range(0..list.len()) } else { 0 };
        let state = Mutex::new(State { first, ..State::default() });
        Self { list, connect_timeout, state }
    }

    /// Returns the hosts in the order in which to try them, with their positions.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (usize, &Host)> {
        let number = self.list.len();
        let first = self.state().first;
        (first..first + number).map(move |at| (at % number, &self.list[at % number]))
    }

    /// Returns the address that answered last, if it is one of this host.
    pub(crate) fn last_address(&self, host: usize) -> Option<IpAddr> {
        self.state().last_good.filter(|target| target.host == host)?.address
    }

    /// Returns the bound on a connection to an address, by the number of addresses of its host.
    pub(crate) fn attempt_timeout(&self, addresses: usize) -> Duration {
        let is_only = self.list.len() == 1 && addresses <= 1;
        self.connect_timeout.unwrap_or(if is_only { ONLY_ATTEMPT_TIMEOUT } else { ATTEMPT_TIMEOUT })
    }

    /// Returns the bound on trying all hosts.
    pub(crate) fn total_timeout(&self) -> Duration {
        let attempts = |host: &Host| match host.place {
            // Looking the name up, and each of its addresses.
            Place::Tcp { address: None, .. } => 1 + MAX_ADDRESSES,
            Place::Tcp { .. } | Place::Unix(_) => 1,
        };
        let attempts: usize = self.list.iter().map(attempts).sum();
        self.attempt_timeout(1) * u32::try_from(attempts).unwrap_or(u32::MAX)
    }

    /// Notes a connection. Returns the host that was left for it, if it was another one.
    ///
    /// `is_checked` says that the server allows writes. Connections to a host that was left are closed: it may be a former
    /// primary that hung, and goes on.
    ///
    /// # Errors
    /// When the server is such a former primary, by the `lineage` of its data.
    pub(crate) fn note_connected(
        &self,
        target: Target,
        is_checked: bool,
        lineage: Option<Lineage>,
    ) -> Result<Option<&Host>, FormerPrimary> {
        let mut state = self.state();
        if !state.follow(lineage) {
            return Err(FormerPrimary);
        }
        state.first = target.host;
        let Some(last) = state.last_good.replace(target).filter(|last| *last != target) else {
            return Ok(None);
        };
        if is_checked {
            state.left_at = Some(Instant::now());
        }
        Ok(Some(&self.list[last.host]))
    }

    /// Leaves the host that answered last, because it does not allow writes. The next connection begins with the host
    /// after it. A statement that `began` before the last host was left ran there, and says nothing about the current one.
    pub(crate) fn leave(&self, began: Instant) {
        let mut state = self.state();
        let was_left = |at: Instant| began < at || at.elapsed() < LEAVE_INTERVAL;
        if state.left_at.is_some_and(was_left) {
            return;
        }
        state.left_at = Some(Instant::now());
        state.last_good = None;
        state.first = (state.first + 1) % self.list.len();
    }

    /// Returns whether a connection of this age is to a host that was left.
    pub(crate) fn has_left(&self, created: std::time::Instant) -> bool {
        self.state().left_at.is_some_and(|at| created < at.into_std())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(number: u8) -> Hosts {
        let place = |n| Place::Tcp { name: format!("h{n}"), address: Some(IpAddr::from([127, 0, 0, n])) };
        Hosts::new((1..=number).map(|n| Host { place: place(n), port: 5432 }).collect(), None, false)
    }

    fn target(host: usize) -> Target {
        Target { host, address: Some(IpAddr::from([127, 0, 0, 1])) }
    }

    fn order(hosts: &Hosts) -> Vec<usize> {
        hosts.in_order().map(|(at, _)| at).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_host_that_answered_last_is_tried_first() {
        let hosts = hosts(3);
        assert_eq!(order(&hosts), [0, 1, 2]);
        assert_eq!(hosts.note_connected(target(1), true, None), Ok(None));
        assert_eq!(order(&hosts), [1, 2, 0]);
        assert_eq!(hosts.last_address(1), Some(IpAddr::from([127, 0, 0, 1])));
        assert_eq!(hosts.last_address(0), None);
        hosts.leave(Instant::now());
        assert_eq!(order(&hosts), [2, 0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn connections_to_a_host_that_was_left_are_recognized() {
        let hosts = hosts(2);
        let old = Instant::now().into_std();
        hosts.note_connected(target(0), true, None).expect("followed");
        assert!(!hosts.has_left(old));
        tokio::time::advance(LEAVE_INTERVAL).await;
        let left = hosts.note_connected(target(1), true, None).expect("followed");
        let left = left.expect("another host").to_string();
        assert_eq!(left, "h1:5432");
        assert!(hosts.has_left(old) && !hosts.has_left(Instant::now().into_std()));
        // Reads may go to any host, if that was asked for.
        tokio::time::advance(LEAVE_INTERVAL).await;
        let old = Instant::now().into_std();
        assert!(hosts.note_connected(target(0), false, None).is_ok_and(|left| left.is_some()));
        assert!(!hosts.has_left(old));
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_refuses_writes_is_left_once_a_second() {
        let hosts = hosts(2);
        hosts.note_connected(target(0), true, None).expect("followed");
        let early = Instant::now();
        tokio::time::advance(Duration::from_millis(1)).await;
        hosts.leave(Instant::now());
        hosts.leave(Instant::now());
        assert_eq!(order(&hosts), [1, 0]);
        tokio::time::advance(LEAVE_INTERVAL).await;
        hosts.leave(early);
        assert_eq!(order(&hosts), [1, 0], "the statement ran on the host that was left");
        hosts.leave(Instant::now());
        assert_eq!(order(&hosts), [0, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_former_primary_is_refused_after_a_promotion() {
        let hosts = hosts(2);
        let lineage = |system, timeline| Some(Lineage { system, timeline });
        hosts.note_connected(target(0), true, lineage(7, 1)).expect("the primary");
        hosts.note_connected(target(1), true, lineage(7, 2)).expect("the promoted standby");
        assert_eq!(hosts.note_connected(target(0), true, lineage(7, 1)), Err(FormerPrimary));
        assert_eq!(order(&hosts), [1, 0]);
        hosts.note_connected(target(0), true, lineage(7, 3)).expect("promoted after it");
        // A server that does not tell is believed, and a restored dump begins with the first timeline.
        hosts.note_connected(target(1), true, None).expect("unknown");
        hosts.note_connected(target(1), true, lineage(8, 1)).expect("another cluster");
    }

    #[test]
    fn the_only_address_has_more_time() {
        assert_eq!(hosts(1).attempt_timeout(1), ONLY_ATTEMPT_TIMEOUT);
        assert_eq!(hosts(1).attempt_timeout(2), ATTEMPT_TIMEOUT);
        assert_eq!(hosts(3).attempt_timeout(1), ATTEMPT_TIMEOUT);
        assert_eq!(hosts(3).total_timeout(), ATTEMPT_TIMEOUT * 3);
    }
}
