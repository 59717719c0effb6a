//! The HTTP server, over real connections.

#![expect(clippy::disallowed_methods, reason = "tasks that end with the test")]

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Extension;
use axum::routing::{get, post};
use futures_util::{StreamExt as _, stream};
use runtime::http_server::{self, ClientAddress, ServerLimits, TrustedProxies};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

const TEST_TIMEOUT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(3600);
const LIMITS: ServerLimits = ServerLimits {
    listener: "test",
    max_connections: 6,
    max_connections_per_network: 4,
    max_connections_per_site: 4,
    head_timeout: LONG,
    keep_alive_timeout: LONG,
    max_lifetime: LONG,
};
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
/// More than the buffers of both sockets hold.
static LARGE: [u8; 16 * 1024 * 1024] = [b'x'; 16 * 1024 * 1024];

fn app() -> Router {
    Router::new()
        .route(
            "/",
            get(async |Extension(ClientAddress(client)): Extension<ClientAddress>| format!("{client}!")),
        )
        .route("/large", get(async || Bytes::from_static(&LARGE)))
        .route("/slow", get(respond_slowly))
        .route("/body", post(async |body: Bytes| body.len().to_string()))
}

/// Responds with a body whose second half is ready after two minutes.
async fn respond_slowly() -> Body {
    let end = async {
        tokio::time::sleep(Duration::from_secs(120)).await;
        Ok::<_, Infallible>(Bytes::from_static(b"end"))
    };
    let begin = async { Ok(Bytes::from_static(b"begin")) };
    Body::from_stream(stream::once(begin).chain(stream::once(end)))
}

fn start(limits: ServerLimits, proxies: &str) -> SocketAddr {
    let listener = http_server::bind_listener(([127, 0, 0, 1], 0).into()).expect("a port");
    let address = listener.local_addr().expect("its address");
    let proxies = proxies.parse().expect("networks");
    tokio::spawn(http_server::serve(listener, app(), limits, proxies, CancellationToken::new()));
    address
}

/// Connects from an address of the loopback network.
async fn connect_from(host: u8, address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((Ipv4Addr::new(127, 0, 0, host), 0).into()).expect("bound");
    socket.connect(address).await.expect("connected")
}

/// Sends a request and reads until the response contains `end`.
async fn exchange(stream: &mut TcpStream, request: &[u8], end: &str) -> String {
    stream.write_all(request).await.expect("sent");
    read_until(stream, end).await
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(end) {
        let read = within(stream.read(&mut buffer)).await.expect("read");
        assert!(read > 0, "ended with {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }
    text
}

/// Reads until the server has ended the connection, by a close or a reset.
async fn wait_end(stream: &mut TcpStream) {
    let mut buffer = [0; 4096];
    within(async { while stream.read(&mut buffer).await.is_ok_and(|read| read > 0) {} }).await;
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TEST_TIMEOUT, future).await.expect("in time")
}

#[tokio::test]
async fn connections_of_one_network_leave_slots_to_others_and_further_ones_get_503() {
    let address = start(LIMITS, "");
    let mut first: Vec<TcpStream> = Vec::new();
    for _ in 0..4 {
        let mut stream = connect_from(1, address).await;
        exchange(&mut stream, REQUEST, "127.0.0.1!").await;
        first.push(stream);
    }
    let mut refused = connect_from(1, address).await;
    let response = read_until(&mut refused, "too many connections").await;
    assert!(
        response.starts_with("HTTP/1.1 503 ") && response.contains("\r\nretry-after: 2\r\n"),
        "{response}"
    );
    wait_end(&mut refused).await;

    let mut others = [connect_from(2, address).await, connect_from(3, address).await];
    for (host, other) in (2..).zip(&mut others) {
        exchange(other, REQUEST, &format!("127.0.0.{host}!")).await;
    }
    read_until(&mut connect_from(4, address).await, "too many connections").await;

    drop(first);
    let again = async {
        loop {
            let mut stream = connect_from(1, address).await;
            stream.write_all(REQUEST).await.expect("sent");
            if read_until(&mut stream, "\r\n").await.starts_with("HTTP/1.1 200") {
                break;
            }
        }
    };
    within(again).await;
}

#[tokio::test]
async fn a_trusted_proxy_has_no_bound_of_its_own_and_names_the_client() {
    let address = start(LIMITS, "127.0.0.9/32");
    let mut proxied = Vec::new();
    for _ in 0..6 {
        let mut stream = connect_from(9, address).await;
        let request = b"GET / HTTP/1.1\r\nhost: x\r\nx-forwarded-for: 1.1.1.1, 203.0.113.7\r\n\r\n";
        exchange(&mut stream, request, "203.0.113.7!").await;
        proxied.push(stream);
    }
    let believed: TrustedProxies = "127.0.0.9/32".parse().expect("a network");
    assert!(!believed.contains(IpAddr::from([127, 0, 0, 1])));
}

#[tokio::test]
async fn a_connection_without_a_request_ends() {
    let address = start(ServerLimits { head_timeout: Duration::from_millis(200), ..LIMITS }, "");
    let mut silent = connect_from(1, address).await;
    let mut trickling = connect_from(1, address).await;
    trickling.write_all(b"GET / HT").await.expect("sent");
    wait_end(&mut silent).await;
    wait_end(&mut trickling).await;
}

#[tokio::test]
async fn a_connection_without_a_further_request_ends() {
    let address = start(ServerLimits { keep_alive_timeout: Duration::from_millis(200), ..LIMITS }, "");
    let mut stream = connect_from(1, address).await;
    exchange(&mut stream, REQUEST, "127.0.0.1!").await;
    wait_end(&mut stream).await;
}

#[tokio::test]
async fn an_old_connection_ends_after_its_response() {
    let address = start(ServerLimits { max_lifetime: Duration::from_secs(2), ..LIMITS }, "");
    let mut idle = connect_from(1, address).await;
    let mut busy = connect_from(1, address).await;
    busy.write_all(b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\n").await.expect("sent");
    wait_end(&mut idle).await;
    let response = exchange(&mut busy, b"abc", "\r\n\r\n3").await;
    assert!(response.contains("connection: close"), "{response}");
    wait_end(&mut busy).await;
}

/// A response that takes longer than the lifetime and every timeout arrives whole. From its first bytes on, the clock
/// moves by itself.
#[tokio::test]
async fn a_response_is_finished_however_old_its_connection_becomes() {
    let address = start(ServerLimits { max_lifetime: Duration::from_secs(10), ..LIMITS }, "");
    let mut stream = connect_from(1, address).await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let mut first = vec![0; 4096];
    let mut length = 0;
    while !first[..length].windows(5).any(|bytes| bytes == b"begin") {
        let read = within(stream.read(&mut first[length..])).await.expect("read");
        assert!(read > 0, "ended after {length} bytes");
        length += read;
    }
    tokio::time::pause();
    let mut text = String::from_utf8_lossy(&first[..length]).into_owned();
    stream.read_to_string(&mut text).await.expect("read");
    assert!(text.contains("begin") && text.contains("end") && text.ends_with("\r\n0\r\n\r\n"), "{text}");
}

/// The response is longer than the buffers, so that the server waits for a client that never reads. Meanwhile the
/// timeout of idle connections passes for a client that reads slowly, which must not end it.
#[tokio::test]
async fn a_client_that_reads_nothing_is_given_up_and_a_slow_one_is_served() {
    let address = start(ServerLimits { keep_alive_timeout: Duration::from_millis(100), ..LIMITS }, "");
    let request = b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n";
    let mut stalled = connect_from(1, address).await;
    stalled.write_all(request).await.expect("sent");
    let mut slow = connect_from(2, address).await;
    slow.write_all(request).await.expect("sent");
    let reading = async {
        let mut buffer = vec![0; 256 * 1024];
        let mut total = 0;
        while total < LARGE.len() {
            let read = within(slow.read(&mut buffer)).await.expect("read");
            assert!(read > 0, "ended after {total} bytes");
            total += read;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let given_up = async {
        // Writing to a connection that the server has reset fails, while it succeeds on one that the server keeps.
        while stalled.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within(async { tokio::join!(reading, given_up) }).await;
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let address = start(LIMITS, "");
    let mut stream = connect_from(1, address).await;
    let head = b"POST /body HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n";
    let response = exchange(&mut stream, head, "\r\n\r\n").await;
    assert!(response.starts_with("HTTP/1.1 4"), "{response}");
    wait_end(&mut stream).await;
}
