//! The listener, over real connections: its graceful stop and unread bodies.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::routing::get;
use runtime::http_server::{ClientAddress, TrustedProxies};
use subscription_api::testing::server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const TEST_TIMEOUT: Duration = Duration::from_secs(20);

async fn start_server(app: Router) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let stop = CancellationToken::new();
    (address, stop.clone(), tokio::spawn(server::serve(listener, app, TrustedProxies::default(), stop)))
}

async fn send_request(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    stream
}

#[tokio::test]
async fn a_handler_knows_the_address_of_its_client() {
    let name_client =
        get(async |Extension(ClientAddress(client)): Extension<ClientAddress>| client.to_string());
    let (address, _stop, _serving) = start_server(Router::new().route("/", name_client)).await;
    let mut stream = send_request(address).await;
    let client = stream.local_addr().expect("its address").ip().to_string();
    let mut answer = vec![0; 4096];
    let mut text = String::new();
    while !text.ends_with(&client) {
        let read = tokio::time::timeout(TEST_TIMEOUT, stream.read(&mut answer))
            .await
            .expect("in time")
            .expect("read");
        assert!(read > 0, "ended with {text}");
        text.push_str(&String::from_utf8_lossy(&answer[..read]));
    }
}

#[tokio::test]
async fn a_stop_finishes_the_requests_in_flight_and_accepts_no_more() {
    let (started, mut starts) = mpsc::channel(1);
    let release = CancellationToken::new();
    let released = release.clone();
    let slow = get(async move || {
        started.send(()).await.expect("received");
        released.cancelled().await;
        "finished"
    });
    let (address, stop, serving) = start_server(Router::new().route("/", slow)).await;
    let idle = TcpStream::connect(address).await.expect("a connection");
    let mut stream = send_request(address).await;
    starts.recv().await.expect("the request started");
    stop.cancel();
    let refused = async {
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TEST_TIMEOUT, refused).await.expect("the listener is closed");
    assert!(!serving.is_finished(), "one request is in flight");
    release.cancel();
    let mut answer = String::new();
    tokio::time::timeout(TEST_TIMEOUT, stream.read_to_string(&mut answer))
        .await
        .expect("in time")
        .expect("read");
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("finished"), "{answer}");
    tokio::time::timeout(TEST_TIMEOUT, serving).await.expect("in time").expect("served");
    drop(idle);
}

/// A response without reading the body must not break the connection for the next request.
#[tokio::test]
async fn an_unread_body_does_not_end_the_connection() {
    let nowhere = "postgres://postgres@127.0.0.1:1/nothing";
    let app = crate::support::app(nowhere, std::num::NonZeroU32::new(1000).expect("not zero"));
    let (address, _stop, _serving) = start_server(app).await;
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    for _ in 0..3 {
        let body = vec![b' '; 2 * 1024 * 1024];
        let head =
            format!("POST /v1/acme/webhooks HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.expect("sent");
        stream.write_all(&body).await.expect("sent");
        let mut answer = vec![0; 12];
        tokio::time::timeout(TEST_TIMEOUT, stream.read_exact(&mut answer))
            .await
            .expect("in time")
            .expect("read");
        assert_eq!(answer, b"HTTP/1.1 401");
        let mut rest = String::new();
        while !rest.ends_with('}') {
            let mut more = vec![0; 4096];
            let read = tokio::time::timeout(TEST_TIMEOUT, stream.read(&mut more))
                .await
                .expect("in time")
                .expect("read");
            assert!(read > 0, "ended after {rest}");
            rest.push_str(&String::from_utf8_lossy(&more[..read]));
        }
    }
}
