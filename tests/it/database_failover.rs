//! `DATABASE_URL` with a primary and its standby: a primary that hangs is passed by once the standby is promoted, and is
//! left when it goes on.

use std::time::{Duration, Instant};

use e2e::database;
use e2e::event::Event;
use e2e::oracle::Oracle;
use e2e::platform::Platform;
use e2e::private_postgres::PrivatePostgres;

use crate::Stage;

/// How long no delivery may arrive after the promotion: the wait for an answer of the old primary, passing it by, and
/// retries. It hung for good before.
const MAX_SILENCE: Duration = Duration::from_secs(40);
/// How long all events may take to arrive.
const CONVERGENCE_TIMEOUT: Duration = Duration::from_secs(90);

#[tokio::test]
async fn a_frozen_primary_is_left_for_the_promoted_standby() {
    let mut primary = PrivatePostgres::start().await;
    let standby = primary.start_standby().await;
    primary.require_standby().await;
    let both = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        primary.port(),
        standby.port()
    );
    let mut stage = Stage::with_builder(Platform::builder().postgres(&both).many_retries("1s")).await;
    let (endpoint, webhook) = stage.create_webhook("/hook").await;
    let mut oracle = Oracle::new(&stage.platform);
    oracle.publish(&Event::sms_batch("acme", 40), Duration::from_millis(5)).await;
    endpoint.wait_for_requests(20).await;

    primary.freeze();
    standby.promote().await;
    let promoted = Instant::now();
    let more = Event::sms_batch("acme", 20);
    let first = more[0].id().to_owned();
    oracle.publish(&more, Duration::from_millis(5)).await;
    endpoint.wait_for_event(&first).await;
    let silence = promoted.elapsed();
    assert!(silence < MAX_SILENCE, "no delivery for {silence:?}");
    for process in stage.platform.processes_mut() {
        process.wait_ready().await;
    }

    // It still takes writes, because nobody told it of the promotion. Those would be lost.
    let unread = clients_with_unread_statements(primary.port());
    primary.unfreeze();
    let former = database::connect(&primary.admin_url()).await.expect("the former primary");
    let woken: String = former.query_one("SELECT clock_timestamp()::text", &[]).await.expect("a row").get(0);
    oracle.publish(&Event::sms_batch("acme", 40), Duration::from_millis(50)).await;
    oracle.wait_delivered(&stage.brand, &endpoint, &webhook, CONVERGENCE_TIMEOUT).await;
    let used = "SELECT application_name || ': ' || query FROM pg_stat_activity \
                WHERE application_name LIKE 'postrider%' AND query_start > $1::text::timestamptz \
                  AND client_port <> ALL ($2)";
    let used: Vec<String> =
        former.query(used, &[&woken, &unread]).await.expect("rows").iter().map(|row| row.get(0)).collect();
    assert_eq!(used, Vec::<String>::new(), "statements went to the former primary");
    primary.kill();
}

/// Returns the ports of the clients that sent this server something which it has not read. It was sent while the server hung,
/// and a busy machine may run it some time after the server goes on.
fn clients_with_unread_statements(server: u16) -> Vec<i32> {
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("the sockets of Linux");
    let hex = |text: &str| i64::from_str_radix(text, 16).expect("a hexadecimal number");
    let mut clients = Vec::new();
    for line in sockets.lines().skip(1) {
        // Number, local address, remote address, state, unsent and unread bytes.
        let fields: Vec<&str> = line.split_whitespace().collect();
        let port = |address: &str| hex(address.rsplit(':').next().expect("a port"));
        let unread = hex(fields[4].rsplit(':').next().expect("two numbers"));
        if port(fields[1]) == i64::from(server) && unread > 0 {
            clients.push(i32::try_from(port(fields[2])).expect("a port"));
        }
    }
    clients
}
