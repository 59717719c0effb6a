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
const PREVIOUS_BIN_DIR: &str = "E2E_PREVIOUS_BIN_DIR";
/// How long everything may take to arrive after the last change.
const CONVERGENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time between two publishes of a steady producer.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(20);
/// Minimum of events that are published while processes are replaced, over one connection of the producer.
const EVENTS: usize = 1200;
const SOME: usize = 50;
/// A quarter of all attempts fails, so that with these retries an event fails for good only once in 10^9
/// runs.
const RETRIES: usize = 20;

/// Returns the folder with the previous release's binaries.
fn previous_binaries() -> Option<PathBuf> {
    let previous = std::env::var_os(PREVIOUS_BIN_DIR).map(PathBuf::from);
    if previous.is_none() {
        eprintln!("{PREVIOUS_BIN_DIR} is not set, so this build replaces itself");
    }
    previous
}

/// The old processes go on beside the new ones, on a schema that the new ones have migrated.
#[tokio::test]
async fn processes_are_replaced_one_by_one_under_load() {
    let previous = previous_binaries();
    let retries = ["1s"; RETRIES].join(",");
    let mut platform = Platform::builder().apis(2).routers(2).deliverers(2).retries(&retries).prepare().await;
    platform.processes_mut().for_each(|process| process.use_binaries_from(previous.as_deref()));
    platform.start_all().await;
    let mut stage = Stage::on_platform(platform).await;
    let endpoint = stage.receiver.endpoint("/hook");
    let headers = json!({"x-shop": "7"});
    let description = json!({"endpoint": endpoint.url(), "events": ["NOTIFICATION"], "headers": headers});
    let webhook = stage.brand.create_webhook_with(&description).await;
    let (flaky, retried) = stage.create_webhook("/flaky").await;
    flaky.answer((0..EVENTS).map(|n| if n % 4 == 0 { Reply::status(500) } else { Reply::ok() }));

    let mut oracle = Oracle::new(&stage.platform);
    let replaced = AtomicBool::new(false);
    let publishing = async {
        let mut published = 0;
        // Events flow for as long as the replacement takes.
        while published < EVENTS || !replaced.load(Ordering::Relaxed) {
            oracle.publish(&Event::sms_batch("acme", SOME), PUBLISH_INTERVAL).await;
            published += SOME;
        }
    };
    tokio::join!(publishing, async {
        for process in stage.platform.processes_mut() {
            let arrived = endpoint.requests().len();
            replace_process(process).await;
            endpoint.wait_for_requests(arrived + 20).await;
        }
        replaced.store(true, Ordering::Relaxed);
    });

    for (endpoint, webhook) in [(&endpoint, &webhook), (&flaky, &retried)] {
        oracle.wait_delivered(&stage.brand, endpoint, webhook, CONVERGENCE_TIMEOUT).await;
    }
    // Old and new deliverers send the headers, in whichever form they are stored.
    assert!(endpoint.requests().iter().all(|request| request.header("x-shop") == "7"));
    // The new processes can change resources that the old ones created.
    let renamed = json!({"description": "created by the previous release"});
    assert_eq!(stage.brand.patch_webhook(&webhook, &renamed).await["description"], renamed["description"]);
    let (newer, _) = stage.create_webhook("/newer").await;
    stage.publish_many(5).await;
    newer.wait_for_requests(5).await;
}

async fn replace_process(process: &mut Process) {
    let (status, _) = process.terminate().await;
    assert_eq!(status.code(), Some(0), "{}", process.name());
    process.use_binaries_from(None);
    process.start();
    process.wait_ready().await;
}

/// After a downgrade, or when a process of the previous release restarts, it meets the schema of a later one.
#[tokio::test]
async fn a_process_starts_on_a_later_releases_schema() {
    let mut stage = Stage::new().await;
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
    let (endpoint, _) = stage.create_webhook("/hook").await;
    stage.publish_many(3).await;
    endpoint.wait_for_requests(3).await;
}
