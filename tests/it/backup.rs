//! A database backup, restored as `deploy/runbook.md` says, beside a broker that lost everything.

use std::path::Path;
use std::process::Command;

use e2e::WAIT_TIMEOUT;
use e2e::database;
use e2e::event::{Event, ids};
use e2e::platform::Platform;
use e2e::script::Reply;
use e2e::signature;

use crate::Stage;

/// Seconds until the services start again, longer than the delay of a retry.
const LATER: i64 = 900;

#[tokio::test]
async fn a_restored_backup_delivers_pending_events_only() {
    let mut stage = Stage::with_builder(Platform::builder().retries("10m")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let producer = stage.platform.producer().await;
    let url = stage.platform.database_url();
    let delivered = Event::sms_batch("acme", 20);
    producer.publish_all(&delivered).await;
    stage.brand.wait_listed(&webhook, "status=delivered", &ids(&delivered), WAIT_TIMEOUT).await;
    endpoint.always(Reply::status(500));
    let pending = Event::sms_batch("acme", 15);
    producer.publish_all(&pending).await;
    endpoint.wait_for_requests(35).await;
    for event in &pending {
        stage.brand.wait_delivery(&webhook, event.id(), "pending", 1).await;
    }
    let backup = stage.platform.dir().join("backup");
    run_program("pg_dump", &["--format=custom", "--file", path_text(&backup), &url]);
    stage.publish_many(5).await;
    endpoint.wait_for_requests(40).await;

    for process in stage.platform.processes_mut() {
        process.terminate().await;
    }
    let rabbit = stage.platform.rabbit().await;
    for queue in [&format!("webhook.{}", webhook.id), "wait.600s", "wait.1s", "ingest", "unrouted"] {
        rabbit.delete_queue(queue).await;
    }
    recreate_database(&url).await;
    run_program("pg_restore", &["--exit-on-error", "--dbname", &url, path_text(&backup)]);
    // By then the pending deliveries are due, and only the database knows of them.
    database::let_time_pass(&url, LATER).await;
    endpoint.always(Reply::ok());
    stage.platform.start_all().await;

    // Events after the backup are gone, and no others.
    let known: std::collections::BTreeSet<_> = ids(&delivered).union(&ids(&pending)).cloned().collect();
    stage.brand.wait_listed(&webhook, "", &known, WAIT_TIMEOUT).await;
    stage.brand.wait_listed(&webhook, "status=delivered", &known, WAIT_TIMEOUT).await;
    // The secret is still readable, and a delivered event does not count as new.
    assert_eq!(endpoint.requests().len(), 40 + 15);
    let last = endpoint.requests().pop().expect("a request");
    let [id, seconds] = ["webhook-id", "webhook-timestamp"].map(|name| last.header(name));
    let signed = signature::sign(&webhook.secret, id, seconds, &last.body).expect("a secret");
    assert_eq!(last.header("webhook-signature"), signed);
    let producer = stage.platform.producer().await;
    producer.publish(&delivered[0]).await;
    let fresh = Event::sms("acme");
    producer.publish(&fresh).await;
    stage.brand.wait_delivery_status(&webhook, fresh.id(), "delivered").await;
    assert_eq!(endpoint.requests().len(), 40 + 15 + 1);
}

/// Replaces this database by an empty one.
async fn recreate_database(url: &str) {
    let (server, name) = url.rsplit_once('/').expect("a database in the URL");
    let name = name.split('?').next().expect("a name");
    let server = database::connect(&format!("{server}/postgres")).await.expect("the server");
    for statement in [format!("DROP DATABASE {name} WITH (FORCE)"), format!("CREATE DATABASE {name}")] {
        server.batch_execute(&statement).await.expect("an empty database");
    }
}

fn run_program(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let output =
        output.unwrap_or_else(|error| panic!("{program} (deploy/test installs PostgreSQL): {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
