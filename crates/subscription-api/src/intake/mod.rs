//! Checks of events that arrive over HTTP, before they are published.
//!
//! [`EventIntake::admit`] refuses events that the router would reject: unknown and built-in types, and `data` that
//! violates an enforced schema. It also enforces the brand's quotas. The router stays the judge of every event; these
//! checks tell the producer at once, and keep one brand from filling queues that all brands share.
//!
//! - `rules` is the part of the configuration that the checks need, in memory;
//! - `schemas` compiles schemas and checks data away from the threads that serve requests;
//! - `fan_out` counts the webhooks that an event matches;
//! - `limiter` has the buckets of the rates.
//!
//! No request costs a statement of its own. The rules are loaded at most every [`REFRESH_INTERVAL`], and once more
//! before a request is refused because of them, so that a type is usable as soon as support has created it. All requests
//! wait for the one that loads, so it does not use the connections of requests, which busy brands may have taken.

mod fan_out;
mod limiter;
mod rules;
mod schemas;

use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use domain::event::event_type::EventType;
use domain::ids::BrandId;
use domain::quota::{BrandQuota, Cost, Quota};
use runtime::error::Chain;
use store::api::{backlogs, quota_shares};
use store::routing::publishing;
use store::{Store, StoreError};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::warn;
use uuid::Uuid;

use self::fan_out::FanOutCache;
use self::limiter::QuotaLimiter;
use self::rules::{Rules, TypeRule};
use self::schemas::{CheckFailed, DataToCheck, SchemaChecker};
use crate::http::problem::Problem;
use crate::http::problem_kind::ProblemKind;
use crate::telemetry;
use crate::validation::errors::ValidationErrors;

/// Time after which a request loads the changes of the configuration, the full backlogs and the shares again. A change
/// of a quota has an effect after this time.
const REFRESH_INTERVAL: Duration = Duration::from_millis(500);
/// Seconds after which a brand with a full backlog may try again. Nobody knows how fast the backlog shrinks.
const FULL_BACKLOG_RETRY_SECONDS: u64 = 10;

/// An event to check.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventToCheck<'a> {
    /// The pointer to the event in the request.
    pub(crate) pointer: &'a str,
    /// Its type.
    pub(crate) event_type: &'a EventType,
    /// Its data.
    pub(crate) data: &'a str,
}

/// A brand is over a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverQuota {
    /// The quota.
    pub(crate) quota: Quota,
    /// Its value.
    pub(crate) limit: u64,
    /// Whole seconds until a request may pass; at least 1.
    pub(crate) retry_after_seconds: u64,
}

impl From<OverQuota> for Problem {
    fn from(over: OverQuota) -> Self {
        telemetry::record_over_quota(over.quota);
        let OverQuota { quota, limit, retry_after_seconds } = over;
        let detail = match quota {
            Quota::WaitingBytes => format!(
                "the brand's quota {} ({limit}) is used up: too many of its events wait to be routed",
                quota.field()
            ),
            _ => format!("the brand's quota {} ({limit}) is used up; slow down", quota.field()),
        };
        Self::too_many_requests(&detail, retry_after_seconds).of_kind(ProblemKind::QuotaExceeded)
    }
}

/// Checks events before they are published.
#[derive(Debug)]
pub struct EventIntake {
    /// The identity of this process, for its shares in the rates.
    instance: Uuid,
    /// PostgreSQL, for what all brands wait for.
    control: Store,
    rules: RwLock<Rules>,
    /// Number of loads that began.
    begun: AtomicU64,
    loading: Mutex<LastLoad>,
    schemas: SchemaChecker,
    fan_outs: FanOutCache,
    limiter: QuotaLimiter,
}

/// The last load that succeeded.
#[derive(Debug, Default)]
struct LastLoad {
    number: u64,
    /// When it began.
    at: Option<Instant>,
}

impl EventIntake {
    /// Creates an intake that has loaded nothing yet, and loads the rules from `control`.
    #[must_use]
    pub fn new(instance: Uuid, control: Store) -> Self {
        Self {
            instance,
            control,
            rules: RwLock::default(),
            begun: AtomicU64::new(0),
            loading: Mutex::default(),
            schemas: SchemaChecker::default(),
            fan_outs: FanOutCache::default(),
            limiter: QuotaLimiter::default(),
        }
    }

    /// Checks the events of a request and takes their cost from the brand's quotas. Returns the cost, so that the caller
    /// can give it back when it publishes nothing. Schemas and subscriptions are read from `store`.
    ///
    /// # Errors
    /// 422 with a pointer to each event that is not acceptable, 429 when the brand is over a quota, 503 when the database
    /// does not answer.
    pub(crate) async fn admit(
        &self,
        store: &Store,
        brand: &BrandId,
        events: &[EventToCheck<'_>],
        bytes: usize,
    ) -> Result<Cost, Problem> {
        self.refresh_if_stale().await?;
        self.check_types(events).await?;
        let quotas = self.check_quotas(brand)?;
        self.check_schemas(store, brand, events).await?;
        let mut cost = Cost { events: events.len() as u64, bytes: bytes as u64, deliveries: 0 };
        if quotas.get(Quota::DeliveriesPerSecond).is_some() {
            cost.deliveries = self.count_deliveries(store, brand, events).await?;
        }
        self.limiter.take(brand, &quotas, cost)?;
        Ok(cost)
    }

    /// Gives back the cost of a request that published nothing.
    pub(crate) fn give_back(&self, brand: &BrandId, cost: Cost) {
        self.limiter.give_back(brand, cost);
    }

    /// Refuses types that producers cannot publish.
    async fn check_types(&self, events: &[EventToCheck<'_>]) -> Result<(), Problem> {
        if self.find_type_errors(events).is_empty() {
            return Ok(());
        }
        // Support may have created the type since the last load.
        self.refresh_now().await?;
        Ok(self.find_type_errors(events).into_result(Some(()))?)
    }

    fn find_type_errors(&self, events: &[EventToCheck<'_>]) -> ValidationErrors {
        let mut errors = ValidationErrors::default();
        self.read_rules(|rules| {
            for event in events {
                let pointer = || format!("{}/type", event.pointer);
                match rules.find_type(event.event_type.as_str()) {
                    None => errors.add(pointer(), "is not in the catalogue; support adds types"),
                    Some(TypeRule { built_in: true, .. }) => {
                        errors.add(pointer(), "is built in; only the platform publishes it");
                    }
                    Some(_) => {}
                }
            }
        });
        errors
    }

    /// Refuses a brand that is over a quota already, before its data costs work. Returns the brand's quotas.
    fn check_quotas(&self, brand: &BrandId) -> Result<BrandQuota, OverQuota> {
        let (quotas, is_full) =
            self.read_rules(|rules| (rules.quotas_of(brand), rules.has_full_backlog(brand)));
        if is_full {
            return Err(OverQuota {
                quota: Quota::WaitingBytes,
                limit: quotas.max_waiting_bytes(),
                retry_after_seconds: FULL_BACKLOG_RETRY_SECONDS,
            });
        }
        self.limiter.check(brand, &quotas)?;
        Ok(quotas)
    }

    /// Refuses data that violates an enforced schema.
    async fn check_schemas(
        &self,
        store: &Store,
        brand: &BrandId,
        events: &[EventToCheck<'_>],
    ) -> Result<(), Problem> {
        let (version, violations) = self.find_violations(store, brand, events).await?;
        if violations.is_empty() {
            return Ok(());
        }
        // Support may have changed the schema since the last load.
        self.refresh_now().await?;
        if self.read_rules(|rules| rules.version()) == version {
            return Err(violations.into());
        }
        let (_, violations) = self.find_violations(store, brand, events).await?;
        Ok(violations.into_result(Some(()))?)
    }

    /// Finds the violations by the rules in memory. Returns the version of the rules, too.
    async fn find_violations(
        &self,
        store: &Store,
        brand: &BrandId,
        events: &[EventToCheck<'_>],
    ) -> Result<(i64, ValidationErrors), Problem> {
        let (version, data) = self.read_rules(|rules| {
            let enforced = |event: &EventToCheck<'_>| {
                let version = rules.find_type(event.event_type.as_str())?.enforced_at?;
                Some(DataToCheck {
                    pointer: event.pointer.to_owned(),
                    event_type: event.event_type.clone(),
                    version,
                    data: event.data.to_owned(),
                })
            };
            (rules.version(), events.iter().filter_map(enforced).collect::<Vec<_>>())
        });
        let violations = match data.is_empty() {
            true => ValidationErrors::default(),
            false => self.schemas.check(store, brand, data).await.map_err(|error| match error {
                CheckFailed::Store(error) => Problem::from(error),
                CheckFailed::Busy => Problem::service_unavailable(
                    "many events of this brand are being checked against their schemas; try again soon",
                )
                .of_kind(ProblemKind::Overloaded),
            })?,
        };
        Ok((version, violations))
    }

    async fn count_deliveries(
        &self,
        store: &Store,
        brand: &BrandId,
        events: &[EventToCheck<'_>],
    ) -> Result<u64, StoreError> {
        let Some(wanted) = self.read_rules(|rules| rules.fan_out_version(brand)) else { return Ok(0) };
        let known = self.read_rules(Rules::version);
        let list_types = || self.read_rules(|rules| rules.list_enabled_types(brand));
        let fan_out = self.fan_outs.find(store, brand, wanted, known, list_types).await?;
        Ok(events.iter().map(|event| fan_out.count(event.event_type.as_str())).sum())
    }

    /// Loads the changes if the last load began [`REFRESH_INTERVAL`] ago or more.
    async fn refresh_if_stale(&self) -> Result<(), StoreError> {
        let is_fresh = |at: Instant| at.elapsed() < REFRESH_INTERVAL;
        if self.read_rules(Rules::loaded_at).is_some_and(is_fresh) {
            return Ok(());
        }
        let mut last = self.loading.lock().await;
        // Another request loaded them while this one waited.
        if last.at.is_some_and(is_fresh) {
            return Ok(());
        }
        let begun = Instant::now();
        self.load(&mut last).await?;
        let full = backlogs::list_full_backlogs(&self.control).await?;
        self.renew_shares().await;
        last.at = Some(begun);
        self.write_rules(|rules| rules.set_loaded(begun, full));
        Ok(())
    }

    /// Loads the changes that were committed before this call. Requests that wait for each other share one load.
    async fn refresh_now(&self) -> Result<(), StoreError> {
        let begun = self.begun.load(Ordering::Acquire);
        let mut last = self.loading.lock().await;
        // A later load than the ones that had begun at the time of the call shows everything that was committed then.
        if last.number > begun {
            return Ok(());
        }
        self.load(&mut last).await
    }

    async fn load(&self, last: &mut LastLoad) -> Result<(), StoreError> {
        let number = self.begun.fetch_add(1, Ordering::AcqRel) + 1;
        let known = self.read_rules(Rules::version);
        if let Some(changes) = publishing::load_publishing_changes(&self.control, known).await? {
            self.write_rules(|rules| rules.apply_changes(changes));
        }
        last.number = number;
        Ok(())
    }

    /// Renews the shares of this process in the rates of the brands whose requests it takes.
    ///
    /// A failure refuses nothing, because the known shares stay as they are until the next load.
    async fn renew_shares(&self) {
        let brands = self.limiter.list_due_shares();
        if brands.is_empty() {
            return;
        }
        match quota_shares::renew_shares(&self.control, self.instance, &brands).await {
            Ok(shares) => self.limiter.set_shares(shares),
            Err(error) => warn!(error = %Chain(&error), "could not renew the shares in the rates of brands"),
        }
    }

    // A poisoned lock is safe to use, because the rules are replaced entry by entry and loaded again.
    fn read_rules<R>(&self, read: impl FnOnce(&Rules) -> R) -> R {
        read(&self.rules.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn write_rules<R>(&self, write: impl FnOnce(&mut Rules) -> R) -> R {
        write(&mut self.rules.write().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
