//! The API's connections: clients of one network that never read, and thousands that send nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use e2e::WAIT_TIMEOUT;
use e2e::event::{Event, ids};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::arena::Arena;
use crate::attack::{Attack, Tally};
use crate::attacker::{Attacker, publish_counted};
use crate::contest::Contest;

/// Connections that ask for large answers without reading them.
const READERS: usize = 300;
/// Requests that each of them sends at once.
const PIPELINED: usize = 10;
/// How long a reader keeps a connection.
const READER_TIME: Duration = Duration::from_secs(12);
/// The largest page that needs no token. Together, the pipelined responses are larger than all buffers.
const LARGE_PAGE: &str = "/docs/api";
/// Events on the page of Get Events that is asked for, 8 MB together.
const LARGE_EVENTS: usize = 40;
/// Bytes of each of them.
const LARGE_EVENT_BYTES: usize = 200_000;
/// Idle connections, more than the API serves at once.
const IDLE: usize = 4_200;
/// How long the attacker waits before it replaces a closed connection.
const RECONNECT_DELAY: Duration = Duration::from_secs(5);
/// Handshakes at the same time. The kernel forgets the ones beyond the API's backlog.
const MAX_HANDSHAKES: usize = 64;
/// Files that this process needs for all of them.
const FILES: u64 = 6_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_not_read_cost_the_others_nothing() {
    let arena = Arena::start().await;
    let attacker = arena.attacker.clone();
    let page = prepare_page(&attacker).await;
    let address = arena.platform.api_address();
    let contest = Contest::begin("slow readers", arena).await;

    let mut attack = Attack::new();
    let token = attacker.brand.api.token();
    let requests: [Arc<str>; 2] = [LARGE_PAGE, &page].map(|path| {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\r\n");
        request.repeat(PIPELINED).into()
    });
    for number in 0..READERS {
        // One in six asks for pages of Get Events.
        let request = requests[usize::from(number % 6 == 0)].clone();
        attack.spawn(keep_without_reading(address, request, attack.tally.clone()));
    }
    contest.finish(attack).await;
}

/// Creates a webhook with large events, and returns the path of their page.
async fn prepare_page(attacker: &Attacker) -> String {
    let webhook = attacker
        .create_webhooks(1, json!({"maxConcurrency": 10}), |_| attacker.accepting_url())
        .await
        .remove(0);
    let events: Vec<Event> = (0..LARGE_EVENTS).map(|_| attacker.large_event(LARGE_EVENT_BYTES)).collect();
    publish_counted(&attacker.connect().await, &events, &Tally::default()).await;
    attacker.brand.wait_listed(&webhook, "", &ids(&events), WAIT_TIMEOUT).await;
    attacker.brand.webhook_path(&webhook, "/events?limit=1000")
}

async fn keep_without_reading(address: SocketAddr, requests: Arc<str>, tally: Arc<Tally>) {
    loop {
        match TcpStream::connect(address).await {
            Ok(mut stream) => {
                tally.add("connections", 1);
                let _ = stream.write_all(requests.as_bytes()).await;
                tokio::time::sleep(READER_TIME).await;
            }
            Err(_) => tally.add("connections refused", 1),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_cost_the_others_nothing() {
    raise_file_limit();
    let arena = Arena::start().await;
    let address = arena.platform.api_address();
    let contest = Contest::begin("idle connections", arena).await;

    let mut attack = Attack::new();
    let handshakes = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    for _ in 0..IDLE {
        attack.spawn(keep_idle(address, handshakes.clone(), attack.tally.clone()));
    }
    e2e::poll::eventually("all connections are open or refused", WAIT_TIMEOUT, async || {
        let tried = attack.tally.read("connections") + attack.tally.read("connections refused");
        if tried >= IDLE as u64 { Ok(()) } else { Err(tried.to_string()) }
    })
    .await;
    contest.finish(attack).await;
}

async fn keep_idle(address: SocketAddr, handshakes: Arc<Semaphore>, tally: Arc<Tally>) {
    loop {
        let handshake = handshakes.acquire().await;
        let connected = timeout(RECONNECT_DELAY, TcpStream::connect(address)).await;
        drop(handshake);
        match connected {
            Ok(Ok(mut stream)) => {
                tally.add("connections", 1);
                let mut answer = [0; 512];
                while stream.read(&mut answer).await.is_ok_and(|bytes| bytes > 0) {}
                tally.add("closed by the API", 1);
            }
            _ => tally.add("connections refused", 1),
        }
        tokio::time::sleep(RECONNECT_DELAY).await;
    }
}

/// Lets this process and its children open enough files.
///
/// # Panics
/// When the machine does not allow it.
fn raise_file_limit() {
    let limit = rlimit::increase_nofile_limit(u64::MAX).expect("the limit of open files");
    assert!(limit >= FILES, "{limit} open files are too few (ulimit -Hn)");
}
