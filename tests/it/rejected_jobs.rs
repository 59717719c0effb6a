//! Jobs that republish or delete rejected messages: one at a time, cancelled, and taken over (contract §4).

use std::collections::BTreeSet;

use e2e::WAIT_TIMEOUT;
use e2e::event::Event;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::support::{REJECTED, list_audit, republish_rejected};
use serde_json::{Value, json};

use crate::{LONG_WAIT_TIMEOUT, Stage};

const UNKNOWN: &str = "NOTIFICATION.UNKNOWN";
/// More messages than a step handles.
const MESSAGES: usize = 1_500;

async fn reject_many(stage: &Stage, number: usize) {
    let producer = stage.platform.producer().await;
    for _ in 0..number.div_ceil(500) {
        let events: Vec<_> = (0..500.min(number)).map(|_| Event::new("acme", UNKNOWN)).collect();
        producer.publish_all(&events).await;
    }
    wait_total(stage, number).await;
}

async fn wait_total(stage: &Stage, number: usize) {
    eventually(&format!("{number} messages are rejected"), WAIT_TIMEOUT, async || {
        let answer = stage.brand.support.get(&format!("{REJECTED}?limit=1")).await;
        // A job may read the queue just now.
        if answer.status == 200 && answer.json()["total"] == number { Ok(()) } else { Err(answer.text) }
    })
    .await;
}

async fn read_jobs(stage: &Stage) -> Vec<Value> {
    stage.brand.support.list(&format!("{REJECTED}/jobs"), 100).await
}

async fn wait_ended(stage: &Stage, location: &str) -> Value {
    eventually("the job has ended", LONG_WAIT_TIMEOUT, async || {
        let job = stage.brand.support.get(location).await.expect_status(200).json();
        if job["state"] == "running" { Err(job.to_string()) } else { Ok(job) }
    })
    .await
}

/// Inserts a job as a process that died has left it.
async fn insert_orphan(stage: &Stage, leased: bool) -> String {
    let sql = e2e::database::connect(&stage.platform.database_url()).await.expect("the database");
    let lease = if leased { "now() + interval '1 hour'" } else { "now() - interval '1 s'" };
    let insert = format!(
        "WITH entry AS (
             INSERT INTO audit (id, actor, action, subject, outcome)
             VALUES (gen_random_uuid(), 'support', 'rejected.delete', 'rejected', 'started') RETURNING id
         )
         INSERT INTO rejected_jobs (id, action, type, actor, audit_id, holder, leased_until)
         SELECT gen_random_uuid(), 'delete', '{UNKNOWN}', 'support', entry.id, gen_random_uuid(), {lease} FROM entry
         RETURNING id::text"
    );
    let id: String = sql.query_one(&insert, &[]).await.expect("a job").get(0);
    format!("{REJECTED}/jobs/{id}")
}

#[tokio::test]
async fn one_job_runs_at_a_time_and_a_job_can_be_cancelled() {
    let stage = Stage::new().await;
    let support = &stage.brand.support;
    // A job that another process works on.
    let running = insert_orphan(&stage, true).await;

    let refused = support.delete(REJECTED).await.expect_problem(409);

    let id = refused["jobId"].as_str().expect("the job that is in the way");
    assert!(running.ends_with(id) && refused["detail"].as_str().is_some_and(|detail| detail.contains(id)));
    let entries = support.list("/admin/v1/audit?action=rejected.delete", 10).await;
    assert_eq!(entries.len(), 1, "a refused request is not in the audit: {entries:?}");
    assert_eq!(entries[0]["outcome"], "unknown", "it goes on: {entries:?}");
    let _ = support.delete(&running).await.expect_status(204);
    let _ = support.delete(&running).await.expect_problem(409);
    let job = support.get(&running).await.expect_status(200).json();
    assert_eq!(
        (&job["state"], &job["action"], &job["type"]),
        (&json!("stopped"), &json!("delete"), &json!(UNKNOWN))
    );
    let entries = list_audit(support).await;
    let cancelled = entries.iter().find(|entry| entry["action"] == "rejected.delete").expect("an entry");
    assert_eq!((&cancelled["outcome"], &cancelled["after"]["state"]), (&json!("done"), &json!("stopped")));
    assert_eq!(republish_rejected(support, json!({})).await, 0, "the next job may run");
    assert_eq!(read_jobs(&stage).await.len(), 2);
    let _ = support.get(&format!("{REJECTED}/jobs/{}", uuid::Uuid::new_v4())).await.expect_problem(404);
    let _ = stage.brand.api.get(&format!("{REJECTED}/jobs")).await.expect_problem(403);
}

/// Messages that are rejected again do not keep a job going.
#[tokio::test]
async fn a_job_of_many_messages_has_progress_and_an_end() {
    let stage = Stage::new().await;
    reject_many(&stage, MESSAGES).await;
    let body = json!({"brandId": "acme", "reason": "unknown_type", "type": UNKNOWN});
    let started = stage.brand.support.post(&format!("{REJECTED}/republish"), &body).await.expect_status(202);
    let location = started.headers["location"].to_str().expect("a path").to_owned();
    let created = started.json();
    assert_eq!(
        (&created["state"], &created["done"], &created["total"]),
        (&json!("running"), &json!(0), &Value::Null)
    );

    let job = wait_ended(&stage, &location).await;

    let expected = json!(MESSAGES);
    assert_eq!(
        (&job["state"], &job["done"], &job["total"]),
        (&json!("finished"), &expected, &expected),
        "{job}"
    );
    assert!(job["updated"].as_str() > job["created"].as_str(), "{job}");
    wait_total(&stage, MESSAGES).await;
}

/// A replica dies while it works on a job, and the other one ends it.
#[tokio::test]
async fn a_job_whose_process_died_is_taken_over() {
    let mut stage = Stage::with_builder(Platform::builder().apis(2)).await;
    reject_many(&stage, 20).await;
    let body = json!({"brandId": "acme"}).to_string();
    let api = stage.platform.support_of(0);
    let path = format!("{REJECTED}/republish");
    let started = api.send(http::Method::POST, &path, Some(body));
    let location = started.await.expect_status(202).headers["location"].to_str().expect("a path").to_owned();
    stage.platform.apis[0].kill();
    let sql = e2e::database::connect(&stage.platform.database_url()).await.expect("the database");
    // Its lease would last longer than the test.
    let lapse = "UPDATE rejected_jobs SET leased_until = now() - interval '1 s' WHERE state = 'running'";
    sql.execute(lapse, &[]).await.expect("updated");
    stage.brand.support = stage.platform.support_of(1);

    let job = wait_ended(&stage, &location).await;

    assert_eq!(job["state"], "finished", "{job}");
    // One message may have been published just before the process died, and again afterwards.
    let rejected = eventually("all are rejected again", WAIT_TIMEOUT, async || {
        let items = stage.brand.support.list(REJECTED, 100).await;
        let bodies: BTreeSet<_> = items.iter().map(|item| item["body"].to_string()).collect();
        if bodies.len() == 20 { Ok(items.len()) } else { Err(format!("{items:?}")) }
    })
    .await;
    assert!(rejected <= 21, "{rejected}");
    let left = insert_orphan(&stage, false).await;
    let job = wait_ended(&stage, &left).await;
    assert_eq!((&job["state"], &job["done"]), (&json!("finished"), &json!(rejected)), "{job}");
    let entries = stage.brand.support.list("/admin/v1/audit?action=rejected.delete", 10).await;
    assert_eq!((&entries[0]["outcome"], &entries[0]["after"]["deleted"]), (&json!("done"), &json!(rejected)));
}
