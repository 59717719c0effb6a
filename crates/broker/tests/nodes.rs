//! The nodes of `AMQP_URL`: IPv6 addresses, nodes that refuse or hang, and which node is tried first.

use std::net::SocketAddr;

use broker::{BrokerSettings, Link};
use clap::Parser;
use futures_util::FutureExt;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket};

/// The first bytes of a client.
const AMQP_HEADER: &[u8; 4] = b"AMQP";

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    broker: BrokerSettings,
}

fn settings(url: &str) -> BrokerSettings {
    Settings::try_parse_from(["test", "--amqp-url", url]).unwrap_or_else(|e| panic!("{url}: {e}")).broker
}

fn real_broker() -> String {
    std::env::var("E2E_AMQP_URL").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".to_owned())
}

/// Returns an address that refuses connections, and the socket that keeps others from it.
fn closed_address() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

/// Asserts that the client connects to this listener.
async fn assert_connects(listener: TcpListener, url: String) {
    let link = Link::new(&settings(&url), "test");
    let mut header = [0; 4];
    let receiving = async {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        stream.read_exact(&mut header).await.expect("the header of the protocol");
    };
    tokio::select! {
        () = receiving => {}
        opened = link.open_channel() => panic!("{url}: {:?}", opened.err()),
    }
    assert_eq!(&header, AMQP_HEADER, "{url}");
}

/// The client's own parser takes localhost for an IPv6 address.
#[tokio::test(flavor = "multi_thread")]
async fn an_ipv6_address_reaches_its_host() {
    let Ok(listener) = TcpListener::bind("[::1]:0").await else {
        eprintln!("skipped: this machine has no IPv6");
        return;
    };
    let address = listener.local_addr().expect("an address");
    assert_connects(listener, format!("amqp://guest:guest@{address}/%2f")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_refuse_or_hang_are_passed_by() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let hanging = silent.local_addr().expect("an address");
    let (_socket, closed) = closed_address();
    let url = format!("amqp://guest:guest@{closed}/%2f,amqp://guest:guest@{hanging}/%2f,{}", real_broker());
    let settings = settings(&url);
    Link::new(&settings, "test").open_channel().await.expect("the third node answers");
    let _first = silent.accept().await.expect("a connection of the first link");
    // Another link of the process knows which node answers.
    Link::new(&settings, "test").open_channel().await.expect("the third node answers");
    assert!(silent.accept().now_or_never().is_none(), "the second link tried the node that hangs");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_names_each_node_and_its_reason() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let hanging = silent.local_addr().expect("an address");
    let (_socket, closed) = closed_address();
    let url = format!("amqp://u:hush@{closed}/v,amqp://u:hush@{hanging}/v?connection_timeout=500");
    let error = Link::new(&settings(&url), "test").open_channel().await.expect_err("no node answers");
    let text = error.to_string();
    for part in [closed.to_string(), hanging.to_string(), "refused".to_owned(), "500ms".to_owned()] {
        assert!(text.contains(&part), "{part}: {text}");
    }
    assert!(!text.contains("hush"), "{text}");
}
