//! Whether a service can do its work: both servers take what it stores, and what it has in hand moves.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tracing::{info, warn};

use crate::progress::Progress;

/// Whether PostgreSQL and RabbitMQ take what a service stores there, and whether its work moves. Cheap to
/// clone.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    database: Mutex<Server>,
    broker: Mutex<Server>,
    watched: Mutex<Vec<Progress>>,
}

/// One of the two servers, as its watch saw it last.
#[derive(Debug, Default, PartialEq, Eq)]
enum Server {
    /// Nothing is known yet, or nobody said why.
    #[default]
    Away,
    AwayBecause(String),
    Up,
}

/// The answer of `/readyz`. The fields that tell why something is not ready are left out while there is
/// nothing to tell, so that a healthy answer has the three of the contract and no more.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReadinessReport {
    pub(crate) ready: bool,
    database: &'static str,
    broker: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    database_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    broker_reason: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stalled: Vec<Stalled>,
}

/// Work that stands still.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stalled {
    what: &'static str,
    for_seconds: u64,
}

impl Readiness {
    /// Notes whether PostgreSQL has the schema and takes what is stored.
    pub fn set_database(&self, up: bool) {
        note(&self.0.database, "database", if up { Server::Up } else { Server::Away });
    }

    /// Notes whether RabbitMQ has the topology and takes what is published.
    pub fn set_broker(&self, up: bool) {
        note(&self.0.broker, "broker", if up { Server::Up } else { Server::Away });
    }

    /// Notes why PostgreSQL is away, and logs that when it changes.
    pub fn set_database_away(&self, reason: impl Into<String>) {
        note(&self.0.database, "database", Server::AwayBecause(reason.into()));
    }

    /// Notes why RabbitMQ is away, and logs that when it changes.
    pub fn set_broker_away(&self, reason: impl Into<String>) {
        note(&self.0.broker, "broker", Server::AwayBecause(reason.into()));
    }

    /// Begins to watch work of this name: as long as it is stalled, the service is not ready. The name is a
    /// word for `/readyz` and for the label of a metric, and is used once.
    #[must_use]
    pub fn watch_progress(&self, what: &'static str) -> Progress {
        let progress = Progress::new(what);
        lock(&self.0.watched).push(progress.clone());
        progress
    }

    /// Whether both servers are up and all work moves.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.report().ready
    }

    pub(crate) fn has_database(&self) -> bool {
        lock(&self.0.database).is_up()
    }

    pub(crate) fn has_broker(&self) -> bool {
        lock(&self.0.broker).is_up()
    }

    /// Each work that is watched, and for how long it has been stalled, if it is.
    pub(crate) fn progress_of_each(&self) -> Vec<(&'static str, Option<Duration>)> {
        lock(&self.0.watched).iter().map(|progress| (progress.what(), progress.stalled())).collect()
    }

    pub(crate) fn report(&self) -> ReadinessReport {
        let stalled = self
            .progress_of_each()
            .into_iter()
            .filter_map(|(what, stalled)| Some(Stalled { what, for_seconds: stalled?.as_secs() }));
        let stalled: Vec<Stalled> = stalled.collect();
        let database = lock(&self.0.database);
        let broker = lock(&self.0.broker);
        ReadinessReport {
            ready: database.is_up() && broker.is_up() && stalled.is_empty(),
            database: database.word(),
            broker: broker.word(),
            database_reason: database.reason(),
            broker_reason: broker.reason(),
            stalled,
        }
    }
}

impl Server {
    fn is_up(&self) -> bool {
        *self == Self::Up
    }

    fn word(&self) -> &'static str {
        if self.is_up() { "up" } else { "away" }
    }

    fn reason(&self) -> Option<String> {
        match self {
            Self::AwayBecause(reason) => Some(reason.clone()),
            Self::Away | Self::Up => None,
        }
    }
}

/// Notes what was found, and logs a reason once, however often it is found again.
fn note(server: &Mutex<Server>, name: &'static str, found: Server) {
    let mut server = lock(server);
    if *server == found {
        return;
    }
    match &found {
        Server::AwayBecause(reason) => warn!(server = name, reason, "a server is away"),
        Server::Up if server.reason().is_some() => info!(server = name, "a server is back"),
        Server::Up | Server::Away => {}
    }
    *server = found;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::STALLED_AFTER;

    fn text(readiness: &Readiness) -> String {
        serde_json::to_string(&readiness.report()).expect("JSON")
    }

    #[test]
    fn a_healthy_report_has_the_fields_of_the_contract_and_no_more() {
        let readiness = Readiness::default();
        let _moves = readiness.watch_progress("routing").begin();
        assert_eq!(text(&readiness), r#"{"ready":false,"database":"away","broker":"away"}"#);
        readiness.set_database(true);
        assert_eq!(text(&readiness), r#"{"ready":false,"database":"up","broker":"away"}"#);
        readiness.set_broker(true);
        assert_eq!(text(&readiness), r#"{"ready":true,"database":"up","broker":"up"}"#);
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_reason_is_told_until_the_server_is_up() {
        let readiness = Readiness::default();
        readiness.set_database(true);
        readiness.set_broker_away("ACCESS_REFUSED");
        assert_eq!(
            text(&readiness),
            r#"{"ready":false,"database":"up","broker":"away","brokerReason":"ACCESS_REFUSED"}"#
        );
        readiness.set_broker(true);
        readiness.set_database_away("no commit within 5s");
        assert_eq!(
            text(&readiness),
            r#"{"ready":false,"database":"away","broker":"up","databaseReason":"no commit within 5s"}"#
        );
        readiness.set_database(true);
        assert_eq!(text(&readiness), r#"{"ready":true,"database":"up","broker":"up"}"#);
    }

    #[test]
    fn work_that_stands_still_is_named_with_its_time() {
        let readiness = Readiness::default();
        readiness.set_database(true);
        readiness.set_broker(true);
        let still = readiness.watch_progress("routing");
        let _moves = readiness.watch_progress("recording").begin();
        let in_hand = still.begin();
        still.rewind(STALLED_AFTER + Duration::from_secs(15));
        assert_eq!(
            text(&readiness),
            r#"{"ready":false,"database":"up","broker":"up","stalled":[{"what":"routing","forSeconds":75}]}"#
        );
        assert!(!readiness.is_ready());
        in_hand.done();
        assert!(readiness.is_ready());
    }
}
