//! A ready service can work: a commit returns, a probe is confirmed, and started work progresses.

use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::database;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::private_broker::PrivateBroker;
use e2e::private_postgres::PrivatePostgres;
use e2e::process::{Process, http_get};
use serde_json::Value;

use crate::Stage;

/// The service reports a stall after this time.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Waits until a process is not ready because of this server only, and says why.
async fn wait_away(process: &Process, away: &str, reason: &str) {
    let other = if away == "database" { "broker" } else { "database" };
    eventually(&format!("{} says why the {away} is away", process.name()), WAIT_TIMEOUT, async || {
        let (status, text) =
            http_get(process.ops_address(), "/readyz").await.map_err(|error| error.to_string())?;
        let report: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let explains =
            report[format!("{away}Reason")].as_str().is_some_and(|explains| explains.contains(reason));
        let apart = report[away] == "away" && report[other] == "up";
        if status == 503 && apart && explains { Ok(()) } else { Err(text) }
    })
    .await;
    let (status, _) = http_get(process.ops_address(), "/healthz").await.expect("/healthz");
    assert_eq!(status, 200);
}

async fn wait_all_ready(platform: &mut Platform) {
    for process in platform.processes_mut() {
        process.wait_ready().await;
    }
}

/// As when the only synchronous standby is away, PostgreSQL answers every query, and no commit returns.
#[tokio::test]
async fn a_database_that_does_not_commit_is_away() {
    let postgres = PrivatePostgres::start().await;
    let mut platform = Platform::builder().postgres(&postgres.admin_url()).start().await;
    let admin = database::connect(&postgres.admin_url()).await.expect("the private PostgreSQL");
    let reload = "SELECT pg_reload_conf()";

    admin.batch_execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await.expect("a setting");
    admin.batch_execute(reload).await.expect("the setting is in force");
    for process in platform.processes_mut() {
        wait_away(process, "database", "no commit within").await;
    }

    admin.batch_execute("ALTER SYSTEM RESET synchronous_standby_names").await.expect("a setting");
    admin.batch_execute(reload).await.expect("the setting is in force");
    wait_all_ready(&mut platform).await;
}

/// A broker without memory opens channels and declares queues, and confirms nothing.
#[tokio::test]
async fn a_broker_that_does_not_confirm_is_away() {
    let broker = PrivateBroker::start().await;
    let mut platform = Platform::builder().broker(&broker.url()).start().await;

    broker.set_memory_alarm(true).await;
    for process in platform.processes_mut() {
        wait_away(process, "broker", "RabbitMQ did not").await;
    }

    broker.set_memory_alarm(false).await;
    wait_all_ready(&mut platform).await;
}

#[tokio::test]
async fn a_conflicting_queue_declaration_is_reported() {
    let mut platform = Platform::builder().prepare().await;
    platform.rabbit().await.declare_classic("ingest").await;
    for process in platform.processes_mut() {
        process.start();
    }
    for process in platform.processes_mut() {
        wait_away(process, "broker", "PRECONDITION_FAILED").await;
    }

    platform.rabbit().await.delete_queue("ingest").await;
    wait_all_ready(&mut platform).await;
}

/// Both servers work, and one lock blocks every record of an attempt.
#[tokio::test]
async fn a_deliverer_that_cannot_record_reports_a_stall() {
    let mut stage = Stage::new().await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let mut admin = database::connect(&stage.platform.database_url()).await.expect("the database");
    let lock = admin.transaction().await.expect("a transaction");
    lock.batch_execute("LOCK TABLE attempts IN EXCLUSIVE MODE").await.expect("a lock");

    let event = stage.publish_many(1).await.remove(0);
    endpoint.wait_for_requests(1).await;
    let deliverer = &stage.platform.deliverers[0];
    let report =
        eventually("the deliverer reports the stall", STALL_TIMEOUT + WAIT_TIMEOUT, async || match http_get(
            deliverer.ops_address(),
            "/readyz",
        )
        .await
        {
            Ok((503, report)) => {
                let report: Value = serde_json::from_str(&report).expect("JSON");
                let servers = (&report["database"], &report["broker"]);
                if servers == (&"up".into(), &"up".into()) { Ok(report) } else { Err(report.to_string()) }
            }
            seen => Err(format!("{seen:?}")),
        })
        .await;
    assert_eq!(report["stalled"][0]["what"], "recording", "{report}");
    assert!(report["stalled"][0]["forSeconds"].as_u64() >= Some(STALL_TIMEOUT.as_secs()), "{report}");
    assert!(deliverer.read_metric("postrider_stalled_seconds").await >= STALL_TIMEOUT.as_secs_f64());

    drop(lock);
    drop(admin);
    stage.platform.deliverers[0].wait_ready().await;
    stage.brand.wait_delivery_status(&webhook, event.id(), "delivered").await;
    assert!(stage.platform.deliverers[0].read_metric("postrider_stalled_seconds").await.abs() < f64::EPSILON);
}
