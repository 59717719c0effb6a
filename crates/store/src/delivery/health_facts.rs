//! The facts from which the state of a webhook's health follows ([`domain::webhook::health_state`]).

use std::collections::HashMap;
use std::time::Duration;

use domain::ids::{BrandId, WebhookId};
use domain::time::Timestamp;
use domain::webhook::WebhookStatus;
use domain::webhook::health::HealthRule;
use domain::webhook::health_state::{ActivitySlice, Health, HealthFacts, IDLE_AFTER, Rest, recent_window};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::db::Params;
use crate::error::StoreError;
use crate::pool::Store;
use crate::rows::{read, read_word};

/// Most webhooks whose facts one statement loads, so that none takes long.
const WEBHOOKS_PER_STATEMENT: usize = 1000;
/// Most webhooks that may need attention which are looked at. More of them cannot be handled one by one.
pub const MAX_SUSPECTS: i64 = 10_000;

/// Assesses the health of webhooks. A webhook that was deleted for good is missing.
///
/// # Errors
/// When the database fails.
pub async fn assess_webhooks(
    store: &Store,
    webhooks: &[WebhookId],
    rule: &HealthRule,
    now: Timestamp,
) -> Result<HashMap<WebhookId, Health>, StoreError> {
    let mut facts = load_facts(store, webhooks, rule.window, now).await?;
    let failing: Vec<WebhookId> =
        facts.iter().filter(|(_, known)| known.fails()).map(|(id, _)| *id).collect();
    for webhooks in failing.chunks(WEBHOOKS_PER_STATEMENT) {
        load_slices(store, webhooks, rule.window, now, &mut facts).await?;
    }
    Ok(facts.into_iter().map(|(id, known)| (id, rule.assess(&known.facts, now))).collect())
}

/// Finds the active webhooks that may be failing or resting, of a brand or of all, with their facts as far as the state
/// depends on them. At most [`MAX_SUSPECTS`] are found, those that are nearest to being disabled.
///
/// # Errors
/// When the database fails.
pub async fn find_suspects(
    store: &Store,
    brand: Option<&BrandId>,
    rule: &HealthRule,
    now: Timestamp,
) -> Result<Vec<(WebhookId, HealthFacts)>, StoreError> {
    let suspects = find_suspect_ids(store, brand, rule, MAX_SUSPECTS, now).await?;
    let mut facts = load_facts(store, &suspects, rule.window, now).await?;
    Ok(suspects.into_iter().filter_map(|id| Some((id, facts.remove(&id)?.facts))).collect())
}

/// Finds at most `limit` active webhooks that may be failing or resting, the nearest to being disabled first.
///
/// # Errors
/// When the database fails.
pub async fn find_suspect_ids(
    store: &Store,
    brand: Option<&BrandId>,
    rule: &HealthRule,
    limit: i64,
    now: Timestamp,
) -> Result<Vec<WebhookId>, StoreError> {
    let since = now - recent_window(rule.window);
    let day_ago = now - IDLE_AFTER;
    let rows = match brand {
        Some(brand) => {
            let params: Params<'_> = &[&since, &limit, &brand.as_str(), &day_ago];
            store.query(sql!("health/suspects_of_brand"), params).await?
        }
        None => store.query(sql!("health/suspects_of_all"), &[&since, &limit, &day_ago]).await?,
    };
    rows.iter().map(|row| read(row, "id").map(WebhookId)).collect()
}

/// The facts of a webhook without its slices.
struct KnownFacts {
    facts: HealthFacts,
    /// Number of attempts of the health window that failed.
    failures: i64,
}

impl KnownFacts {
    /// Whether the slices tell more.
    fn fails(&self) -> bool {
        let facts = &self.facts;
        facts.status == WebhookStatus::Active
            && (self.failures > 0
                || facts.recent_failures > 0
                || facts.failed_in_row > 0
                || facts.is_failing())
    }
}

async fn load_facts(
    store: &Store,
    webhooks: &[WebhookId],
    window: Duration,
    now: Timestamp,
) -> Result<HashMap<WebhookId, KnownFacts>, StoreError> {
    let mut facts = HashMap::with_capacity(webhooks.len());
    for webhooks in webhooks.chunks(WEBHOOKS_PER_STATEMENT) {
        let ids: Vec<Uuid> = webhooks.iter().map(|id| id.0).collect();
        let recent = now - recent_window(window);
        let params: Params<'_> = &[&ids, &recent, &(now - window), &(now - IDLE_AFTER)];
        for row in store.query(sql!("health/load_facts"), params).await? {
            facts.insert(WebhookId(read(&row, "id")?), read_facts(&row)?);
        }
    }
    Ok(facts)
}

async fn load_slices(
    store: &Store,
    webhooks: &[WebhookId],
    window: Duration,
    now: Timestamp,
    facts: &mut HashMap<WebhookId, KnownFacts>,
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = webhooks.iter().map(|id| id.0).collect();
    let is_failing = |id: &WebhookId| facts.get(id).is_some_and(|known| known.facts.is_failing());
    let failing: Vec<bool> = webhooks.iter().map(is_failing).collect();
    let params: Params<'_> = &[&ids, &(now - window), &(now - IDLE_AFTER), &failing];
    for row in store.query(sql!("health/load_slices"), params).await? {
        if let Some(known) = facts.get_mut(&WebhookId(read(&row, "id")?)) {
            known.facts.slices = read_slices(&row)?;
            known.facts.failing_since = read(&row, "failing_since")?;
        }
    }
    Ok(())
}

fn read_facts(row: &Row) -> Result<KnownFacts, StoreError> {
    let count = |column| read::<i64>(row, column).map(|number| u64::try_from(number).unwrap_or(0));
    let since: Option<Timestamp> = read(row, "resting_since")?;
    let until: Option<Timestamp> = read(row, "resting_until")?;
    let facts = HealthFacts {
        status: read_word(row, "status")?,
        status_since: read(row, "status_since")?,
        recent_attempts: count("recent_attempts")?,
        recent_failures: count("recent_failures")?,
        latest_attempts: count("latest_attempts")?,
        latest_failures: count("latest_failures")?,
        failed_in_row: count("failed_in_row")?,
        rest: since.zip(until).map(|(since, until)| Rest { since, until }),
        last_attempt: read(row, "last_attempt")?,
        failing_since: None,
        delivered: count("events_delivered")?,
        failed: count("events_failed")?,
        slices: Vec::new(),
    };
    Ok(KnownFacts { facts, failures: read(row, "failures")? })
}

/// Reads the slices out of their parallel arrays, which are NULL without a slice.
fn read_slices(row: &Row) -> Result<Vec<ActivitySlice>, StoreError> {
    let starts: Vec<Timestamp> = read::<Option<_>>(row, "starts")?.unwrap_or_default();
    let counts = |column| read::<Option<Vec<i32>>>(row, column).map(Option::unwrap_or_default);
    let times = |column| read::<Option<Vec<Option<Timestamp>>>>(row, column).map(Option::unwrap_or_default);
    let attempts = counts("attempts")?;
    let failures = counts("failures")?;
    let first = times("first_failures")?;
    let last = times("last_failures")?;
    let number = |numbers: &[i32], at: usize| {
        numbers.get(at).and_then(|number| u64::try_from(*number).ok()).unwrap_or_default()
    };
    let slice = |(at, start): (usize, Timestamp)| ActivitySlice {
        start,
        attempts: number(&attempts, at),
        failures: number(&failures, at),
        first_failure: first.get(at).copied().flatten(),
        last_failure: last.get(at).copied().flatten(),
    };
    Ok(starts.into_iter().enumerate().map(slice).collect())
}
