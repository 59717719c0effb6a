//! Redelivery jobs: of events by their ids, in lists, and cancelled.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::rows::Event;
use crate::support::{TestApi, new_webhook};

fn redeliver_path(webhook: &Value) -> String {
    format!("/v1/acme/webhooks/{}/redeliver", webhook["id"].as_str().expect("an id"))
}

fn range(status: &str) -> Value {
    let at = |hours| (Utc::now() + TimeDelta::hours(hours)).to_rfc3339();
    json!({"from": at(-2), "to": at(1), "status": status})
}

/// The statuses of all deliveries, sorted.
async fn statuses(test: &TestApi) -> Vec<String> {
    let rows = test.sql.query("SELECT status FROM deliveries ORDER BY status", &[]).await.expect("read");
    rows.iter().map(|row| row.get(0)).collect()
}

async fn audited(test: &TestApi, action: &str) -> Vec<Value> {
    let entries = test.as_support().list_all("/admin/v1/audit", 1000).await;
    entries.into_iter().filter(|entry| entry["action"] == action).collect()
}

#[tokio::test]
async fn events_are_redelivered_by_their_ids_in_one_job_with_one_audit_entry() {
    let test = TestApi::new().await;
    let (acme, webhook) = test.acme().await;
    let id = webhook["id"].as_str().expect("an id");
    let mut ids = Vec::new();
    for status in ["failed", "delivered", "held"] {
        ids.push(Event::new().to(id).status(status).insert(&test.sql).await);
    }
    let foreign = Event::new().to(&Uuid::new_v4().to_string()).insert(&test.sql).await;
    let unknown = "01F2SFVYVD0H873S2VRT8VQSPM";
    let mut body = json!({"ids": [ids[0], ids[1], ids[2], ids[0], unknown, foreign]});
    let path = redeliver_path(&webhook);
    let counted = acme.post(&format!("{path}?dryRun=true"), &body).await.expect(200);
    assert_eq!((&counted["queued"], counted["unknown"].as_array().map(Vec::len)), (&json!(3), Some(2)));
    let answer = acme.post(&path, &body).await;
    let location = answer.headers["location"].to_str().expect("text").to_owned();
    let queued = answer.expect(202);
    let mut expected = [unknown.to_owned(), foreign];
    expected.sort();
    assert_eq!((&queued["queued"], &queued["unknown"]), (&json!(3), &json!(expected)), "{queued}");
    let job = acme.get(&location).await.expect(200);
    assert_eq!((&job["state"], &job["total"], &job["status"]), (&json!("running"), &json!(3), &Value::Null));
    assert_eq!((&job["brandId"], job["actor"].is_string()), (&json!("acme"), true), "{job}");
    assert_eq!(statuses(&test).await.iter().filter(|status| *status == "pending").count(), 4);
    let refused = acme.post(&path, &body).await.problem(409);
    assert_eq!(refused["jobId"], queued["jobId"]);
    let entries = audited(&test, "webhook.redeliver_range").await;
    assert_eq!(entries.len(), 1, "one entry a job");
    assert_eq!(entries[0]["after"]["ids"].as_array().map(Vec::len), Some(3), "{entries:?}");

    body["ids"] = json!([unknown]);
    assert_eq!(acme.post(&format!("{path}?dryRun=true"), &body).await.pointers(), ["/ids"]);
    body["status"] = json!("failed");
    assert_eq!(acme.post(&format!("{path}?dryRun=true"), &body).await.pointers(), ["/ids"]);
    let many = json!({"ids": vec![unknown; 1001]});
    assert_eq!(acme.post(&path, &many).await.pointers(), ["/ids"]);
    test.drop_database().await;
}

#[tokio::test]
async fn a_cancelled_job_gives_its_waiting_events_their_status_back() {
    let test = TestApi::new().await;
    let (acme, webhook) = test.acme().await;
    let id = webhook["id"].as_str().expect("an id");
    let mut ids = Vec::new();
    for status in ["failed", "delivered", "held", "discarded", "pending", "failed"] {
        ids.push(Event::new().to(id).status(status).insert(&test.sql).await);
    }
    let path = redeliver_path(&webhook);
    let queued = acme.post(&path, &json!({"ids": ids})).await.expect(202);
    assert_eq!(statuses(&test).await, ["pending"; 6]);
    // One was attempted already, and waits for its retry.
    let attempted = "WITH one AS (SELECT event_id FROM redeliveries WHERE former_status = 'failed' LIMIT 1) \
                     UPDATE deliveries SET attempts = attempts + 1 WHERE event_id = (SELECT event_id FROM one)";
    test.sql.batch_execute(attempted).await.expect("attempted");
    let job = format!("{path}/{}", queued["jobId"].as_str().expect("a job"));
    let reader = test.token("acme", "read").await;
    reader.delete(&job).await.problem(403);
    for _ in 0..2 {
        acme.delete(&job).await.expect(204);
    }
    assert_eq!(acme.get(&job).await.expect(200)["state"], "cancelled");
    assert_eq!(statuses(&test).await, ["delivered", "discarded", "failed", "held", "pending", "pending"]);
    let left: i64 =
        test.sql.query_one("SELECT count(*) FROM redeliveries", &[]).await.expect("counted").get(0);
    assert_eq!(left, 2, "the attempted one, and the one that was owed an attempt before");
    assert_eq!(audited(&test, "webhook.cancel_redelivery").await.len(), 1);
    // Another job may run now.
    let next = acme.post(&path, &range("failed")).await.expect(202);
    let next = format!("{path}/{}", next["jobId"].as_str().expect("a job"));
    test.sql.batch_execute("UPDATE redelivery_jobs SET walked = true").await.expect("ended");
    let refused = acme.delete(&next).await.problem(409);
    assert!(refused["detail"].as_str().is_some_and(|detail| detail.contains("finished")), "{refused}");
    acme.delete(&format!("{path}/{}", Uuid::new_v4())).await.problem(404);
    test.drop_database().await;
}

#[tokio::test]
async fn a_webhook_that_stops_gives_waiting_events_their_status_back() {
    for stop in ["pause", "disable"] {
        let test = TestApi::new().await;
        let (acme, webhook) = test.acme().await;
        let id = webhook["id"].as_str().expect("an id");
        let mut ids = Vec::new();
        for status in ["failed", "delivered", "pending"] {
            ids.push(Event::new().to(id).status(status).insert(&test.sql).await);
        }
        let path = redeliver_path(&webhook);
        let queued = acme.post(&path, &json!({"ids": ids})).await.expect(202);
        match stop {
            "pause" => {
                let own = format!("/v1/acme/webhooks/{id}");
                acme.patch(&own, &json!({"enabled": false})).await.expect(200);
            }
            _ => {
                let admin = format!("/admin/v1/webhooks/{id}/disable");
                test.as_support().post(&admin, &json!({"detail": "x"})).await.expect(200);
            }
        }
        let job = format!("{path}/{}", queued["jobId"].as_str().expect("a job"));
        assert_eq!(acme.get(&job).await.expect(200)["state"], "stopped");
        // The deliverer closes the delivery that was pending before.
        assert_eq!(statuses(&test).await, ["delivered", "failed", "pending"], "{stop}");
        test.drop_database().await;
    }
}

#[tokio::test]
async fn jobs_are_listed_for_a_webhook_a_brand_and_the_platform() {
    let test = TestApi::new().await;
    let (acme, webhook) = test.acme().await;
    let second = acme.post("/v1/acme/webhooks", &new_webhook()).await.expect(201);
    let other = test.brand("other", "write", &["NOTIFICATION.SMS.RECEIPT"]).await;
    let foreign = other.post("/v1/other/webhooks", &new_webhook()).await.expect(201);
    let foreign_path = redeliver_path(&foreign).replace("acme", "other");
    let support = test.as_support();
    let mut jobs = Vec::new();
    for (caller, path) in [
        (&acme, redeliver_path(&webhook)),
        (&acme, redeliver_path(&second)),
        (&other, foreign_path.clone()),
        (&acme, redeliver_path(&webhook)),
    ] {
        let job = caller.post(&path, &range("all")).await.expect(202);
        jobs.insert(0, job["jobId"].clone());
        test.sql.batch_execute("UPDATE redelivery_jobs SET walked = true").await.expect("ended");
        tokio::time::sleep(std::time::Duration::from_millis(2)).await; // a time of its own
    }
    let running = acme.post(&redeliver_path(&second), &range("all")).await.expect(202)["jobId"].clone();
    jobs.insert(0, running.clone());
    let ids = |items: Vec<Value>| -> Vec<Value> { items.iter().map(|job| job["id"].clone()).collect() };
    for limit in [1, 2, 100] {
        let own = ids(acme.list_all(&redeliver_path(&webhook), limit).await);
        assert_eq!(own, [jobs[1].clone(), jobs[4].clone()]);
        let of_brand = ids(acme.list_all("/v1/acme/redeliveries", limit).await);
        assert_eq!(of_brand, [&jobs[0], &jobs[1], &jobs[3], &jobs[4]].map(Clone::clone));
        assert_eq!(ids(support.list_all("/admin/v1/redeliveries", limit).await), jobs);
        let finished = ids(support.list_all("/admin/v1/redeliveries?state=finished", limit).await);
        assert_eq!(finished, jobs[1..]);
    }
    for list in ["/v1/acme/redeliveries?state=running", "/v1/acme/redeliveries?state=running&limit=1"] {
        assert_eq!(
            ids(acme.list_all(list.split("&limit").next().expect("a path"), 10).await),
            std::slice::from_ref(&running)
        );
    }
    acme.get("/v1/acme/redeliveries?state=odd").await.problem(400);
    acme.get("/v1/other/redeliveries").await.problem(404);
    acme.get(&foreign_path.replace("other", "acme")).await.problem(404);
    acme.get("/admin/v1/redeliveries").await.problem(403);
    test.drop_database().await;
}

#[tokio::test]
async fn support_may_test_an_active_or_disabled_webhook() {
    let test = TestApi::new().await;
    let (acme, webhook) = test.acme().await;
    let id = webhook["id"].as_str().expect("an id");
    let own = format!("/v1/acme/webhooks/{id}");
    let admin = format!("/admin/v1/webhooks/{id}");
    let support = test.as_support();
    support.post(&format!("{admin}/test"), &json!({})).await.expect(202);
    acme.patch(&own, &json!({"enabled": false})).await.expect(200);
    support.post(&format!("{admin}/test"), &json!({})).await.problem(409);
    acme.patch(&own, &json!({"enabled": true})).await.expect(200);
    support.post(&format!("{admin}/disable"), &json!({"detail": "x"})).await.expect(200);
    acme.post(&format!("{own}/test"), &json!({})).await.problem(409);
    let sent = support.post(&format!("{admin}/test"), &json!({})).await.expect(202);
    assert_eq!(support.post(&format!("{admin}/test"), &json!({"type": 1})).await.pointers(), ["/type"]);
    let listed = acme.get(&format!("{own}/events/{}", sent["eventId"].as_str().expect("an id"))).await;
    assert_eq!(listed.expect(200)["test"], true);
    assert_eq!(audited(&test, "webhook.test").await.len(), 2);
    acme.post(&format!("{admin}/test"), &json!({})).await.problem(403);
    let missing = format!("/admin/v1/webhooks/{}/test", Uuid::new_v4());
    support.post(&missing, &json!({})).await.problem(404);
    test.drop_database().await;
}
