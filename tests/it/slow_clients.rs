//! Clients of the API that take and do not give: silent connections, slow readers, slow bodies, expensive requests
//! (contract §4, §7).

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::brand::Brand;
use e2e::database;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::process::Process;
use futures_util::future::join_all;
use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use crate::Stage;

/// More connections than the API takes in all.
const MANY_CONNECTIONS: usize = 4200;
/// Connections that one client network may have (`crates/SECURITY.md`).
const MAX_PER_NETWORK: usize = 64;
const SLOW_READERS: usize = 300;
const REQUESTS_OF_READER: usize = 200;
/// Addresses of the slow readers, so that each has fewer than its share.
const READERS_PER_ADDRESS: usize = 60;
/// Maximum growth of the API caused by slow readers, a tenth of a megabyte for each.
const MAX_GROWTH_BYTES: u64 = 30 * 1024 * 1024;
/// What a victim accepts for a request that takes some milliseconds alone, on a busy machine.
const VICTIM_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects from an address of the loopback network, with a small receive buffer, so that little is on its way.
async fn connect_from(host: u8, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into()).expect("bound");
    socket.connect(address).await.expect("connected")
}

/// Sends a `GET` on a connection of its own, and returns the status.
async fn get_from(host: u8, address: SocketAddr, path: &str) -> u16 {
    let exchange = async {
        let mut stream = connect_from(host, address).await;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("read");
        String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    };
    timeout(VICTIM_TIMEOUT, exchange).await.unwrap_or_else(|_| panic!("{path} not within {VICTIM_TIMEOUT:?}"))
}

/// Waits until the listener has no more than this number of connections.
async fn wait_connections(process: &Process, listener: &str, most: f64) {
    let gauge = format!("postrider_http_connections{{listener=\"{listener}\"}}");
    eventually("the connections have ended", 2 * WAIT_TIMEOUT, async || {
        match process.read_metric(&gauge).await {
            some if some <= most => Ok(()),
            some => Err(some.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn silent_connections_of_one_network_keep_nobody_out() {
    let platform = Platform::builder().routers(0).deliverers(0).start().await;
    let address = platform.api_address();
    let mut silent = Vec::with_capacity(MANY_CONNECTIONS);
    for n in 0..MANY_CONNECTIONS {
        silent.push(connect_from(1, address).await);
        if n % 100 == 0 {
            assert_eq!(get_from(2, address, "/openapi.json").await, 200, "after {n} connections");
        }
    }
    assert_eq!(get_from(2, address, "/docs").await, 200);
    let api = &platform.apis[0];
    let refused = api.read_metric("postrider_http_connections_refused_total").await;
    let taken = silent.len() - MAX_PER_NETWORK;
    // The first connections may have ended meanwhile, so that later ones took their slots.
    assert!(refused >= 0.5 * taken as f64, "{refused} refused");
    let mut last = silent.pop().expect("a connection");
    let mut text = String::new();
    timeout(WAIT_TIMEOUT, last.read_to_string(&mut text)).await.expect("in time").expect("read");
    assert!(text.is_empty() || text.contains("503") && text.contains("retry-after"), "{text}");

    // Nobody closes them: the API does.
    wait_connections(api, "api", 0.0).await;
    assert_eq!(get_from(1, address, "/docs").await, 200);
}

/// 300 clients that ask for pages of some 200 KB again and again, and read nothing.
#[tokio::test]
async fn slow_readers_cost_no_memory_on_any_open_route() {
    let platform = Platform::builder().routers(0).deliverers(0).start().await;
    let address = platform.api_address();
    let api = &platform.apis[0];
    let paths = ["/docs/api", "/docs", "/docs/runbook", "/openapi.json", "/console"];
    for path in paths {
        let status = get_from(2, address, path).await;
        assert!(status == 200 || path == "/console" && status == 404, "{path}: {status}");
    }
    api.reset_peak();
    let before = api.read_memory().now;
    let mut readers = Vec::with_capacity(SLOW_READERS);
    for n in 0..SLOW_READERS {
        let host = 3 + u8::try_from(n / READERS_PER_ADDRESS).expect("few addresses");
        let mut stream = connect_from(host, address).await;
        let path = if n % 2 == 0 { paths[0] } else { paths[n / 2 % paths.len()] };
        // Even the responses of short pages together are longer than the buffers of both sockets.
        let requests = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(REQUESTS_OF_READER);
        stream.write_all(requests.as_bytes()).await.expect("sent");
        readers.push(stream);
    }
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    for path in paths.into_iter().cycle().take(60) {
        let began = Instant::now();
        assert_ne!(get_from(2, address, path).await, 503);
        slowest = slowest.max(began.elapsed());
    }
    // Only the responses of short pages may have fitted into the buffers. Their readers are idle now.
    wait_connections(api, "api", SLOW_READERS as f64 / 3.0).await;
    let growth = api.read_memory().peak.saturating_sub(before);
    eprintln!(
        "{SLOW_READERS} slow readers: the API grew by {} KiB at most, the slowest of 60 requests of others took \
         {slowest:?}, most readers were gone after {:?}",
        growth / 1024,
        began.elapsed()
    );
    assert!(growth < MAX_GROWTH_BYTES, "{growth} bytes");
    drop(readers);
}

#[tokio::test]
async fn slow_bodies_end_and_cost_nobody_anything() {
    let stage = Stage::with_builder(Platform::builder().deliverers(0).routers(0).unlimited_requests()).await;
    let other = stage.platform.create_brand("globex").await;
    let address = stage.platform.api_address();
    let token = stage.brand.api.token();
    let slow = join_all((0..MAX_PER_NETWORK).map(|_| async {
        let mut stream = connect_from(3, address).await;
        let head = format!(
            "POST /v1/acme/events HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: 1000000\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        // The API may close the connection before it has read everything.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).split(' ').nth(1).map(str::to_owned)
    }));
    let victims = async {
        for _ in 0..30 {
            let _ = other.api.get("/v1/globex/webhooks").await.expect_status(200);
            let _ = stage.brand.api.get("/v1/acme/webhooks").await.expect_status(200);
        }
    };
    let (statuses, ()) =
        timeout(2 * WAIT_TIMEOUT, async { tokio::join!(slow, victims) }).await.expect("in time");
    let refused = |status: &Option<String>| status.as_deref().is_none_or(|s| ["408", "429"].contains(&s));
    assert!(statuses.iter().all(refused), "{statuses:?}");
    assert!(statuses.iter().flatten().any(|status| status == "408"), "{statuses:?}");
}

/// Changes of a locked row stand for everything that takes PostgreSQL long.
#[tokio::test]
async fn expensive_requests_of_one_brand_cost_another_nothing() {
    let stage = Stage::with_builder(Platform::builder().routers(0).deliverers(0).unlimited_requests()).await;
    let other = stage.platform.create_brand("globex").await;
    let (_, webhook) = stage.create_webhook("/hook").await;
    let path = stage.brand.webhook_path(&webhook, "");
    let blocker = database::connect(&stage.platform.database_url()).await.expect("the database");
    blocker.batch_execute("BEGIN; SELECT 1 FROM webhooks FOR UPDATE").await.expect("locked");

    let change = json!({"description": "x"}).to_string();
    // The harness would repeat a request that is asked to come again.
    let attack =
        join_all((0..40).map(|_| stage.brand.api.try_send(Method::PATCH, &path, Some(change.clone()))));
    let (attacked, slowest) = tokio::join!(attack, measure_slowest_read(&other, 60));

    for answer in attacked {
        let answer = answer.expect("an answer");
        assert!([429, 503].contains(&answer.status), "{} {}", answer.status, answer.text);
        assert!(answer.headers.contains_key("retry-after"));
    }
    assert!(slowest < VICTIM_TIMEOUT, "{slowest:?}");
    eprintln!(
        "beside 40 requests that wait for a lock, the slowest of 60 reads of another brand took {slowest:?}"
    );
    blocker.batch_execute("ROLLBACK").await.expect("released");
    let _ = stage.brand.patch_webhook(&webhook, &json!({"description": "x"})).await;
}

async fn measure_slowest_read(brand: &Brand, reads: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..reads {
        let began = Instant::now();
        let _ = brand.api.get(&format!("/v1/{}/webhooks", brand.id)).await.expect_status(200);
        slowest = slowest.max(began.elapsed());
    }
    slowest
}

#[tokio::test]
async fn silent_connections_to_the_operations_listener_end() {
    let platform = Platform::builder().deliverers(0).start().await;
    for process in [&platform.apis[0], &platform.routers[0]] {
        let address = process.ops_address();
        let mut silent = Vec::new();
        for _ in 0..200 {
            silent.push(connect_from(3, address).await);
        }
        assert_eq!(get_from(1, address, "/healthz").await, 200);
        assert_eq!(get_from(1, address, "/metrics").await, 200);
        // The look itself is a connection.
        wait_connections(process, "ops", 1.0).await;
        let _ = process.wait_readyz(200).await;
        drop(silent);
    }
}

/// Behind a trusted proxy, one address has the connections of many clients.
#[tokio::test]
async fn a_trusted_proxy_has_no_share_of_its_own() {
    let builder =
        Platform::builder().routers(0).deliverers(0).set("POSTRIDER_TRUSTED_PROXIES", "127.0.0.4/32");
    let platform = builder.start().await;
    let address = platform.api_address();
    let mut proxied = Vec::new();
    for _ in 0..2 * MAX_PER_NETWORK {
        proxied.push(connect_from(4, address).await);
    }
    assert_eq!(get_from(4, address, "/docs").await, 200);
    let refused = platform.apis[0].read_metric("postrider_http_connections_refused_total").await;
    assert!(refused < 1.0, "{refused}");
}
