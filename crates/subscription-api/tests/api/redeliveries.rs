//! Redelivery: one job of a webhook at a time, counts with a bound, and the bound on single redeliveries.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use serde_json::{Value, json};
use store::redelivery::queue::MAX_SINGLE_REDELIVERIES;

use crate::rows::Event;
use crate::support::TestApi;

/// Bounds the time of a request that must not wait for a lock which another session keeps.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

fn range() -> Value {
    let at = |hours| (Utc::now() + TimeDelta::hours(hours)).to_rfc3339();
    json!({"from": at(-2), "to": at(1)})
}

fn redeliver_path(webhook: &Value) -> String {
    format!("/v1/acme/webhooks/{}/redeliver", webhook["id"].as_str().expect("an id"))
}

#[tokio::test]
async fn a_webhook_has_one_redelivery_job_at_a_time_and_the_second_request_names_it() {
    let test = TestApi::new().await;
    let (acme, webhook) = test.acme().await;
    let path = redeliver_path(&webhook);
    Event::new().to(webhook["id"].as_str().expect("an id")).status("failed").insert(&test.sql).await;
    let first = acme.post(&path, &range()).await.expect(202);
    assert_eq!((&first["queued"], first.get("more")), (&json!(1), None), "{first}");
    let job = first["jobId"].as_str().expect("a job");
    let refused = acme.post(&path, &range()).await.problem(409);
    let detail = refused["detail"].as_str().expect("a detail");
    assert!(detail.contains(job) && detail.contains("one at a time"), "{detail}");
    assert_eq!(refused["jobId"], job, "{refused}");

    test.sql.batch_execute("UPDATE redelivery_jobs SET walked = true").await.expect("ended");
    let second = acme.post(&path, &range()).await.expect(202);
    assert_ne!(second["jobId"], first["jobId"]);
    test.drop_database().await;
}

#[tokio::test]
async fn of_many_requests_at_once_one_creates_a_job() {
    let test = TestApi::new().await;
    let (acme, webhook) = test.acme().await;
    let path = redeliver_path(&webhook);
    let range = range();
    let patient = test.patient_replica();
    let acme = acme.on(&patient);
    let answers = join_all((0..20).map(|_| acme.post(&path, &range))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (202, &[409; 19][..]));
    let jobs = test.sql.query_one("SELECT count(*) FROM redelivery_jobs", &[]).await.expect("counted");
    assert_eq!(jobs.get::<_, i64>(0), 1);
    test.drop_database().await;
}

#[tokio::test]
async fn a_dry_run_counts_and_changes_nothing() {
    let test = TestApi::new().await;
    let (acme, webhook) = test.acme().await;
    let path = redeliver_path(&webhook);
    for status in ["failed", "failed", "delivered"] {
        Event::new().to(webhook["id"].as_str().expect("an id")).status(status).insert(&test.sql).await;
    }
    let counted = acme.post(&format!("{path}?dryRun=true"), &range()).await.expect(200);
    assert_eq!(counted, json!({"queued": 2}), "only failed events by default");
    let mut all = range();
    all["status"] = json!("all");
    assert_eq!(acme.post(&format!("{path}?dryRun=true"), &all).await.expect(200), json!({"queued": 3}));
    let mut failed = range();
    failed["status"] = json!("failed");
    acme.post(&format!("{path}?dryRun=perhaps"), &range()).await.problem(400);
    acme.post(&format!("{path}?dryRun=false"), &failed).await.expect(202);
    // A count is allowed while a job runs.
    acme.post(&format!("{path}?dryRun=true"), &failed).await.expect(200);
    let jobs = test.sql.query_one("SELECT count(*) FROM redelivery_jobs", &[]).await.expect("counted");
    assert_eq!(jobs.get::<_, i64>(0), 1);
    test.drop_database().await;
}

#[tokio::test]
async fn single_redeliveries_and_test_events_are_refused_at_their_bound() {
    let test = TestApi::new().await;
    let (acme, webhook) = test.acme().await;
    let id = webhook["id"].as_str().expect("an id");
    let event = Event::new().to(id).status("failed").insert(&test.sql).await;
    let fill = "INSERT INTO redeliveries (webhook_id, created, event_id, round, trigger) \
                SELECT $1::text::uuid, now(), gen_random_uuid(), 2, 'redeliver' FROM generate_series(1, $2::bigint)";
    test.sql.execute(fill, &[&id, &(MAX_SINGLE_REDELIVERIES - 1)]).await.expect("filled");
    let redeliver = format!("/v1/acme/webhooks/{id}/events/{event}/redeliver");
    acme.post(&redeliver, &json!({})).await.expect(202);
    for path in [redeliver, format!("/v1/acme/webhooks/{id}/test")] {
        let refused = acme.post(&path, &json!({})).await.problem(409);
        let detail = refused["detail"].as_str().expect("a detail");
        assert!(detail.contains(&MAX_SINGLE_REDELIVERIES.to_string()), "{path}: {detail}");
    }
    // A range is one row, and goes on.
    acme.post(&redeliver_path(&webhook), &range()).await.expect(202);
    test.drop_database().await;
}

/// Counting inside the transaction would make everybody wait who changes the webhook, and each holds a connection.
#[tokio::test]
async fn a_range_is_counted_without_a_lock() {
    let test = TestApi::new().await;
    let (acme, webhook) = test.acme().await;
    let lock = format!(
        "BEGIN; SELECT FROM webhooks WHERE id = '{}' FOR UPDATE",
        webhook["id"].as_str().expect("an id")
    );
    test.sql.batch_execute(&lock).await.expect("locked");
    let path = format!("{}?dryRun=true", redeliver_path(&webhook));
    let range = range();
    let counting = tokio::time::timeout(ANSWER_TIMEOUT, acme.post(&path, &range)).await;
    counting.expect("it does not wait for the lock").expect(200);
    test.sql.batch_execute("ROLLBACK").await.expect("unlocked");
    test.drop_database().await;
}
