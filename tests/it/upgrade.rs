//! Upgrades replace one process at a time and lose nothing; so do downgrades.

mod waiting_messages;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use e2e::event::Event;
use e2e::oracle::Oracle;
use e2e::platform::Platform;
use e2e::process::Process;
use e2e::script::Reply;
use serde_json::json;

use crate::Stage;

/// The variable with the folder of the previous release's binaries (`deploy/lib/checks.sh`,
/// `build_previous_release`). Without it, this build's processes replace themselves.
const PREVIOUS: &str = "E2E_PREVIOUS_BIN_DIR";
/// How long everything may take to arrive after the last change.
const SETTLED: Duration = Duration::from_secs(60);
/// Time between two publishes of a steady producer.
const PACE: Duration = Duration::from_millis(20);
/// Minimum of events that are published while processes are replaced, over one connection of the producer.
const EVENTS: usize = 1200;
const SOME: usize = 50;
/// A quarter of all attempts fails, so that with these retries an event fails for good only once in 10^9
/// runs.
const RETRIES: usize = 20;

/// Returns the folder with the previous release's binaries.
fn previous_binaries() -> Option<PathBuf> {
    let previous = std::env::var_os(PREVIOUS).map(PathBuf::from);
    if previous.is_none() {
        eprintln!("{PREVIOUS} is not set: this build is replaced by itself");
    }
    previous
}

/// The old processes go on beside the new ones, on a schema that the new ones have migrated.
#[tokio::test]
async fn processes_are_replaced_one_by_one_while_events_flow() {
    let previous = previous_binaries();
    let retries = ["1s"; RETRIES].join(",");
    let mut platform = Platform::builder().apis(2).routers(2).deliverers(2).retries(&retries).prepare().await;
    platform.processes_mut().for_each(|process| process.run_from(previous.as_deref()));
    platform.start_all().await;
    let mut stage = Stage::on(platform).await;
    let (endpoint, webhook) = stage.webhook("/hook").await;
    let (flaky, retried) = stage.webhook("/flaky").await;
    flaky.answer((0..EVENTS).map(|n| if n % 4 == 0 { Reply::status(500) } else { Reply::ok() }));

    let amqp_url = stage.platform.amqp_url().to_owned();
    let namespace = stage.platform.namespace.clone();
    let mut oracle = Oracle::default();
    let replaced = AtomicBool::new(false);
    let publishing = async {
        let mut published = 0;
        // Events flow for as long as the replacement takes.
        while published < EVENTS || !replaced.load(Ordering::Relaxed) {
            oracle.publish(&amqp_url, &namespace, &Event::many("acme", SOME), PACE).await;
            published += SOME;
        }
    };
    tokio::join!(publishing, async {
        for process in stage.platform.processes_mut() {
            let arrived = endpoint.requests().len();
            replace(process).await;
            endpoint.wait_for(arrived + 20).await;
        }
        replaced.store(true, Ordering::Relaxed);
    });

    for (endpoint, webhook) in [(&endpoint, &webhook), (&flaky, &retried)] {
        oracle.wait_arrived(endpoint, SETTLED).await;
        oracle.wait_all(&stage.brand, webhook, "delivered", SETTLED).await;
    }
    // The new processes can change resources that the old ones created.
    let renamed = json!({"description": "created by the previous release"});
    assert_eq!(stage.brand.patch(&webhook, &renamed).await["description"], renamed["description"]);
    let (newer, _) = stage.webhook("/newer").await;
    stage.published(5).await;
    newer.wait_for(5).await;
}

async fn replace(process: &mut Process) {
    let (status, _) = process.terminate().await;
    assert_eq!(status.code(), Some(0), "{}", process.name());
    process.run_from(None);
    process.start();
    process.wait_ready().await;
}

/// After a downgrade, or when a process of the previous release restarts, it meets the schema of a later one.
#[tokio::test]
async fn a_process_starts_on_the_schema_of_a_later_release() {
    let mut stage = Stage::set().await;
    let database = e2e::database::connect(&stage.platform.database_url()).await.expect("the database");
    let later = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
                 SELECT version + 1, 'of_a_later_release', applied_on, '1' FROM refinery_schema_history
                 ORDER BY version DESC LIMIT 1";
    database.batch_execute(later).await.expect("a later migration");
    for process in stage.platform.processes_mut() {
        process.terminate().await;
        process.start();
        process.wait_ready().await;
    }
    let (endpoint, _) = stage.webhook("/hook").await;
    stage.published(3).await;
    endpoint.wait_for(3).await;
}
