//! The judgement at the end: nothing lost, no error, nothing late, memory within its bound.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::Value;

use crate::arena::SERVICES;
use crate::contest::Contest;
use crate::record::Sent;
use crate::row::Row;
use crate::size;

/// Memory that a service may need beyond its idle memory, whatever a brand does.
const MAX_GROWTH_BYTES: u64 = 256 * 1024 * 1024;
/// Latency that no delivery and no call of the victim may exceed beside the attack, with debug builds on a machine that
/// is busy with all parts, the attack and other work. Behind the attack it would take minutes.
const MAX_LATENCY: Duration = Duration::from_secs(10);
/// The same goal on a quiet machine.
const STRICT_MAX_LATENCY: Duration = Duration::from_secs(1);
/// How soon the victim has to flow after the restart of a service on such a machine. Routers that start first move what
/// the attacker published before the victim's next event into the attacker's backlog.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(45);
/// The same goal on a quiet machine.
const STRICT_RECOVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a new webhook may take to receive events, beside the latency of an event: the deliverers look
/// for changes every half second, and create a queue.
const CHANGE_TIMEOUT: Duration = Duration::from_secs(3);
/// Ratio of the victim's p99 beside the attack to its p99 before, on a quiet machine.
const STRICT_MAX_RATIO: f64 = 1.5;
/// Lines that all services may log in a scenario, because a log is a shared resource, too.
const MAX_LOG_LINES: usize = 5_000;
/// The same in a long run.
const LONG_MAX_LOG_LINES: usize = 20_000;
/// How long the victim's last events may take to arrive and to be recorded after the attack.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(45);
/// Interval of the looks at the arrivals.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);
/// Maximum number of failures of a kind that are described.
const MAX_DESCRIPTIONS: usize = 5;

/// The failures of a scenario.
#[derive(Debug)]
pub(crate) struct Verdict {
    failures: Vec<String>,
    /// Kept, so that a failure shows the logs of its processes.
    contest: Contest,
}

impl Verdict {
    /// Waits until the victim's events have arrived, prints the row and judges.
    pub(crate) async fn reach(mut contest: Contest, attack: String) -> Self {
        let mut failures = contest.failures.clone();
        failures.extend(judge_deliveries(&contest).await);
        failures.extend(judge_webhook(&contest).await);
        let logged = contest.count_log_lines() - contest.logged_before;
        let row = Row::new(&contest, attack, logged, failures.len());
        row.print();
        failures.extend(row.errors.iter().take(MAX_DESCRIPTIONS).cloned());
        failures.extend(judge_memory(&contest));
        failures.extend(judge_times(&contest, &row));
        let max_lines = size::choose(MAX_LOG_LINES, LONG_MAX_LOG_LINES);
        if logged > max_lines {
            failures.push(format!("the services logged {logged} lines"));
        }
        Self { failures, contest }
    }

    /// # Panics
    /// When a goal was missed.
    pub(crate) fn assert_goals(self) {
        assert!(self.failures.is_empty(), "{} is not isolated: {:#?}", self.contest.resource, self.failures);
    }
}

fn judge_memory(contest: &Contest) -> Vec<String> {
    let uses = SERVICES.into_iter().zip(contest.memory);
    let excessive = uses.filter(|(_, used)| used.peak > used.idle + MAX_GROWTH_BYTES);
    excessive
        .map(|(service, used)| format!("{service:?} grew from {} to {} bytes", used.idle, used.peak))
        .collect()
}

fn judge_times(contest: &Contest, row: &Row) -> Vec<String> {
    let strict = size::is_strict();
    let mut failures = Vec::new();
    let max_latency = if strict { STRICT_MAX_LATENCY } else { MAX_LATENCY };
    if row.latest() > max_latency {
        failures.push(format!("the latest took {:.1?}", row.latest()));
    }
    let timeout = if strict { STRICT_RECOVERY_TIMEOUT } else { RECOVERY_TIMEOUT };
    for (service, took) in SERVICES.into_iter().zip(&contest.recoveries) {
        if *took > timeout {
            failures.push(format!("the victim flowed {took:.1?} after the restart of {service:?}"));
        }
    }
    match &contest.change {
        Ok(took) if *took <= max_latency + CHANGE_TIMEOUT => {}
        other => failures.push(format!("the victim's new webhook: {other:?}")),
    }
    for ratio in row.ratios() {
        if strict && ratio > STRICT_MAX_RATIO {
            failures.push(format!("a p99 is {ratio:.2} times the one before"));
        }
    }
    failures
}

/// Compares the owed events with the arrivals and with Get Events.
async fn judge_deliveries(contest: &Contest) -> Vec<String> {
    let record = &contest.arena.victim.record;
    let deadline = Instant::now() + ARRIVAL_TIMEOUT;
    let mut failures = loop {
        let mut failures: Vec<String> =
            record.missing().into_iter().map(|id| format!("{id} is lost")).collect();
        if failures.is_empty() {
            failures = match list_events(contest).await {
                Ok(listed) => compare(contest, &record.events(), &listed),
                Err(problem) => vec![problem],
            };
        }
        if failures.is_empty() || Instant::now() > deadline {
            break failures;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    };
    failures.truncate(MAX_DESCRIPTIONS);
    if record.invented() > 0 {
        failures.push(format!("{} requests belong to no event of the victim", record.invented()));
    }
    failures
}

/// Returns the deliveries that Get Events lists, by the ids of their events.
async fn list_events(contest: &Contest) -> Result<BTreeMap<String, Value>, String> {
    let victim = &contest.arena.victim;
    let base = victim.brand.webhook_path(&victim.webhook, "/events?limit=1000");
    let mut listed = BTreeMap::new();
    let mut path = base.clone();
    loop {
        let answer = victim.api().try_send(Method::GET, &path, None).await?;
        if answer.status != 200 {
            return Err(format!("Get Events answers {} {}", answer.status, answer.text));
        }
        let page = answer.json();
        for item in page["items"].as_array().into_iter().flatten() {
            let id = item["id"].as_str().unwrap_or_default().to_owned();
            listed.insert(id, item["delivery"].clone());
        }
        match page["nextCursor"].as_str() {
            Some(cursor) => path = format!("{base}&cursor={cursor}"),
            None => return Ok(listed),
        }
    }
}

fn compare(
    contest: &Contest,
    sent: &BTreeMap<String, Sent>,
    listed: &BTreeMap<String, Value>,
) -> Vec<String> {
    let mut failures = Vec::new();
    for (id, event) in sent.iter().filter(|(_, event)| event.confirmed) {
        let Some(delivery) = listed.get(id) else {
            failures.push(format!("{id} is not listed"));
            continue;
        };
        let measured = contest.before.contains(event.published) || contest.beside.contains(event.published);
        // A restart may cut an attempt off.
        let failed = measured && delivery["attempts"] != 1;
        if delivery["status"] != "delivered" || failed {
            failures.push(format!("{id}: {delivery}"));
        }
    }
    let invented = listed.keys().filter(|id| !sent.contains_key(*id));
    failures.extend(invented.map(|id| format!("{id} was never published")));
    failures
}

/// Checks that the victim's webhook is as active as before.
async fn judge_webhook(contest: &Contest) -> Option<String> {
    let victim = &contest.arena.victim;
    let path = victim.brand.webhook_path(&victim.webhook, "");
    match victim.api().try_send(Method::GET, &path, None).await {
        Ok(answer) if answer.status == 200 => {
            let webhook = answer.json();
            let is_well = webhook["status"] == "active" && webhook["health"]["state"] != "failing";
            (!is_well).then(|| format!("the victim's webhook: {webhook}"))
        }
        Ok(answer) => Some(format!("{path} answers {} {}", answer.status, answer.text)),
        Err(error) => Some(error),
    }
}
