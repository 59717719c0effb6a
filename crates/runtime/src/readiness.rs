//! The readiness of a service, which `/readyz` reports.
//!
//! A service is ready when PostgreSQL and RabbitMQ store what it sends and no work is stalled. The services set the
//! state of the servers, because only they know which statement or publication proves it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::gauge;
use serde::Serialize;
use tracing::{info, warn};

use crate::progress::WorkProgress;

/// The state of both servers and the progress of the work, cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    database: Mutex<Server>,
    broker: Mutex<Server>,
    watched: Mutex<Vec<WorkProgress>>,
}

/// The state of one of the two servers.
#[derive(Debug, Default, PartialEq, Eq)]
enum Server {
    /// The state is not known yet, or the server is away for an unknown reason.
    #[default]
    Away,
    AwayBecause(String),
    Up,
}

/// The response of `/readyz`.
///
/// The fields with reasons are omitted if they are empty, so that a healthy response has exactly the three fields of
/// the contract.
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

/// Stalled work in the response of `/readyz`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stalled {
    what: &'static str,
    for_seconds: u64,
}

impl Readiness {
    /// Sets whether PostgreSQL has the schema and commits.
    pub fn set_database(&self, up: bool) {
        set_server(&self.0.database, "database", if up { Server::Up } else { Server::Away });
    }

    /// Sets whether RabbitMQ has the topology and confirms.
    pub fn set_broker(&self, up: bool) {
        set_server(&self.0.broker, "broker", if up { Server::Up } else { Server::Away });
    }

    /// Sets why PostgreSQL is away, and logs a new reason.
    pub fn set_database_away(&self, reason: impl Into<String>) {
        set_server(&self.0.database, "database", Server::AwayBecause(reason.into()));
    }

    /// Sets why RabbitMQ is away, and logs a new reason.
    pub fn set_broker_away(&self, reason: impl Into<String>) {
        set_server(&self.0.broker, "broker", Server::AwayBecause(reason.into()));
    }

    /// Creates a [`WorkProgress`] that makes the service unready while its work is stalled.
    ///
    /// The name appears in `/readyz` and as the label of a metric, so it must be unique.
    #[must_use]
    pub fn watch_progress(&self, name: &'static str) -> WorkProgress {
        let progress = WorkProgress::new(name);
        lock(&self.0.watched).push(progress.clone());
        progress
    }

    /// Returns whether both servers are up and no work is stalled.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.report().ready
    }

    fn has_database(&self) -> bool {
        lock(&self.0.database).is_up()
    }

    fn has_broker(&self) -> bool {
        lock(&self.0.broker).is_up()
    }

    /// Sets the gauges of the servers and of stalled work.
    pub(crate) fn export_gauges(&self) {
        gauge!("postrider_server_up", "server" => "database").set(u8::from(self.has_database()));
        gauge!("postrider_server_up", "server" => "broker").set(u8::from(self.has_broker()));
        for (name, stalled) in self.progress_of_each() {
            gauge!("postrider_stalled_seconds", "what" => name)
                .set(stalled.unwrap_or_default().as_secs_f64());
        }
    }

    /// Returns the name of each kind of work, and for how long it has been stalled.
    fn progress_of_each(&self) -> Vec<(&'static str, Option<Duration>)> {
        lock(&self.0.watched).iter().map(|progress| (progress.name(), progress.stalled_for())).collect()
    }

    pub(crate) fn report(&self) -> ReadinessReport {
        let stalled: Vec<Stalled> = self
            .progress_of_each()
            .into_iter()
            .filter_map(|(what, stalled)| Some(Stalled { what, for_seconds: stalled?.as_secs() }))
            .collect();
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

/// Sets the state of a server, and logs a reason only if it is new.
fn set_server(server: &Mutex<Server>, name: &'static str, state: Server) {
    let mut server = lock(server);
    if *server == state {
        return;
    }
    match &state {
        Server::AwayBecause(reason) => warn!(server = name, reason, "a server is away"),
        Server::Up if server.reason().is_some() => info!(server = name, "a server is back"),
        Server::Up | Server::Away => {}
    }
    *server = state;
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::STALL_TIMEOUT;

    fn text(readiness: &Readiness) -> String {
        serde_json::to_string(&readiness.report()).expect("JSON")
    }

    #[test]
    fn a_healthy_report_has_exactly_the_fields_of_the_contract() {
        let readiness = Readiness::default();
        let _item = readiness.watch_progress("routing").begin();
        assert_eq!(text(&readiness), r#"{"ready":false,"database":"away","broker":"away"}"#);
        readiness.set_database(true);
        assert_eq!(text(&readiness), r#"{"ready":false,"database":"up","broker":"away"}"#);
        readiness.set_broker(true);
        assert_eq!(text(&readiness), r#"{"ready":true,"database":"up","broker":"up"}"#);
        assert!(readiness.is_ready());
    }

    #[test]
    fn a_reason_is_reported_until_the_server_is_up() {
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
    fn stalled_work_is_reported_with_its_duration() {
        let readiness = Readiness::default();
        readiness.set_database(true);
        readiness.set_broker(true);
        let stalled = readiness.watch_progress("routing");
        let _item = readiness.watch_progress("recording").begin();
        let item = stalled.begin();
        stalled.rewind(STALL_TIMEOUT + Duration::from_secs(15));
        assert_eq!(
            text(&readiness),
            r#"{"ready":false,"database":"up","broker":"up","stalled":[{"what":"routing","forSeconds":75}]}"#
        );
        assert!(!readiness.is_ready());
        item.done();
        assert!(readiness.is_ready());
    }
}
