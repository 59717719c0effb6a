//! The security log: requests that were refused with 401, 403 or 429, and reads of secrets.
//!
//! Anybody may cause any number of refusals. So they are counted, and one line tells how many requests of one client,
//! token and route there were since the last report. The lines have the target `security`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{Extensions, StatusCode};
use domain::ids::WebhookId;
use runtime::http_server::ClientAddress;
use tracing::info;
use uuid::Uuid;

/// Time between two reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);
/// Lines of a report. The other requests are counted in one line.
const MAX_LOG_LINES: usize = 50;
/// Kinds of requests that are counted apart between two reports.
const MAX_COUNTED_KINDS: usize = 1000;

/// The owner of a request's token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Caller {
    /// There is no token, or it is not valid.
    #[default]
    Unknown,
    /// Support, with the token of the settings.
    Support,
    /// Support, whose named token has this id.
    NamedSupport(Uuid),
    /// A brand, whose token has this id.
    Token(Uuid),
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("none"),
            Self::Support => f.write_str("support"),
            Self::NamedSupport(id) => write!(f, "support:{id}"),
            Self::Token(id) => write!(f, "token:{id}"),
        }
    }
}

/// Tells the security log about a request, in its extensions.
#[derive(Debug, Clone, Default)]
pub(crate) struct AccessRecord(Arc<Mutex<Access>>);

#[derive(Debug, Clone, Copy, Default)]
struct Access {
    caller: Caller,
    /// The webhook whose secret the response has.
    secret_of: Option<WebhookId>,
}

impl AccessRecord {
    /// Returns the record of a request. Without the middleware, nobody reads it.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    pub(crate) fn set_caller(&self, caller: Caller) {
        self.access().caller = caller;
    }

    pub(crate) fn set_secret_of(&self, webhook: WebhookId) {
        self.access().secret_of = Some(webhook);
    }

    fn access(&self) -> MutexGuard<'_, Access> {
        // A poisoned lock is safe to use, because no panic can leave the record half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Requests that share a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    /// The status of a refusal, or 200 for a read of a secret.
    status: u16,
    client: Option<IpAddr>,
    caller: Caller,
    method: &'static str,
    route: String,
    /// The webhook whose secret was read.
    secret_of: Option<WebhookId>,
}

/// Counts requests for the log. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct SecurityLog(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    kinds: BTreeMap<Kind, u64>,
    /// Requests beyond [`MAX_COUNTED_KINDS`].
    others: u64,
}

impl SecurityLog {
    /// Counts a request if it was refused or read a secret.
    pub(crate) fn record(
        &self,
        record: &AccessRecord,
        client: Option<ClientAddress>,
        method: &'static str,
        route: Option<&str>,
        status: StatusCode,
    ) {
        let Access { caller, secret_of } = *record.access();
        let is_refused = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS]
            .contains(&status);
        if !is_refused && (secret_of.is_none() || !status.is_success()) {
            return;
        }
        let kind = Kind {
            status: status.as_u16(),
            client: client.map(|ClientAddress(client)| client),
            caller,
            method,
            route: route.unwrap_or("none").to_owned(),
            secret_of: secret_of.filter(|_| !is_refused),
        };
        self.counts().add(kind);
    }

    /// Reports at an interval, forever.
    pub(crate) async fn report_forever(self) {
        loop {
            tokio::time::sleep(REPORT_INTERVAL).await;
            self.report();
        }
    }

    /// Writes the lines of the requests since the last report.
    pub(crate) fn report(&self) {
        let Counts { kinds, mut others } = std::mem::take(&mut *self.counts());
        for (number, (kind, requests)) in kinds.into_iter().enumerate() {
            if number < MAX_LOG_LINES {
                kind.log(requests);
            } else {
                others += requests;
            }
        }
        if others > 0 {
            info!(target: "security", requests = others, "further requests were refused or read secrets");
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn add(&mut self, kind: Kind) {
        if self.kinds.len() < MAX_COUNTED_KINDS || self.kinds.contains_key(&kind) {
            *self.kinds.entry(kind).or_default() += 1;
        } else {
            self.others += 1;
        }
    }
}

impl Kind {
    fn log(&self, requests: u64) {
        let Self { status, client, caller, method, route, secret_of } = self;
        let client = client.map(tracing::field::display);
        match secret_of {
            Some(webhook) => info!(
                target: "security", client, %caller, method, route, %webhook, requests,
                "the secret of a webhook was read"
            ),
            None => {
                info!(target: "security", status, client, %caller, method, route, requests, "requests were refused");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTE: &str = "/v1/{brandId}/webhooks";

    fn counted(log: &SecurityLog) -> Vec<(u16, String, u64)> {
        let counts = log.counts();
        counts
            .kinds
            .iter()
            .map(|(kind, requests)| (kind.status, kind.caller.to_string(), *requests))
            .collect()
    }

    #[test]
    fn refusals_are_counted_by_client_token_and_route() {
        let log = SecurityLog::default();
        let client = |last| Some(ClientAddress(IpAddr::from([192, 0, 2, last])));
        let record = AccessRecord::default();
        for status in [401, 401, 403, 429, 200, 404, 503] {
            let status = StatusCode::from_u16(status).expect("a status");
            log.record(&record, client(1), "GET", Some(ROUTE), status);
        }
        log.record(&record, client(2), "GET", Some(ROUTE), StatusCode::UNAUTHORIZED);
        record.set_caller(Caller::Token(Uuid::nil()));
        log.record(&record, client(2), "GET", Some(ROUTE), StatusCode::FORBIDDEN);
        let none = "none".to_owned();
        let token = format!("token:{}", Uuid::nil());
        let mut expected =
            [(401, &none, 2), (401, &none, 1), (403, &none, 1), (403, &token, 1), (429, &none, 1)]
                .map(|(status, caller, requests)| (status, caller.clone(), requests));
        expected.sort();
        let mut counted = counted(&log);
        counted.sort();
        assert_eq!(counted, expected);
    }

    #[test]
    fn a_read_of_a_secret_counts_only_if_it_succeeds() {
        let log = SecurityLog::default();
        let record = AccessRecord::default();
        record.set_caller(Caller::Support);
        record.set_secret_of(WebhookId(Uuid::nil()));
        log.record(&record, None, "GET", Some(ROUTE), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(counted(&log), []);
        log.record(&record, None, "GET", Some(ROUTE), StatusCode::OK);
        assert_eq!(counted(&log), [(200, "support".to_owned(), 1)]);
        log.report();
        assert_eq!(counted(&log), [], "a report begins anew");
    }

    #[test]
    fn a_flood_of_clients_is_bounded() {
        let log = SecurityLog::default();
        let record = AccessRecord::default();
        for number in 0..2 * u32::try_from(MAX_COUNTED_KINDS).expect("small") {
            let client = Some(ClientAddress(IpAddr::from(number.to_be_bytes())));
            log.record(&record, client, "GET", None, StatusCode::UNAUTHORIZED);
        }
        let counts = log.counts();
        assert_eq!((counts.kinds.len(), counts.others), (MAX_COUNTED_KINDS, MAX_COUNTED_KINDS as u64));
    }
}
