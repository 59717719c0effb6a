//! Names with several addresses: an address that does not answer costs no attempt.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use e2e::event::Event;
use e2e::name_server::NameServer;
use e2e::platform::Platform;
use e2e::receiver::Receiver;
use tokio::net::{TcpSocket, TcpStream};

use crate::Stage;

/// A name in the receiver's certificate.
const NAME: &str = "hooks.test";
/// Connections to a listener that accepts none and queues a single one.
const WAITING: usize = 4;

/// An address that answers no further connection, as behind a firewall that drops packets.
struct HangingAddress {
    _listener: OwnedFd,
    _waiting: Vec<TcpStream>,
}

impl HangingAddress {
    /// Takes this address, and fills the queue of its listener.
    async fn start(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(address).expect("the address is free");
        let listener = socket.listen(0).expect("a listener").into_std().expect("a listener");
        let connecting = (0..WAITING).map(|_| {
            let connecting = TcpStream::connect(address);
            tokio::time::timeout(std::time::Duration::from_millis(300), connecting)
        });
        let connected = futures_util::future::join_all(connecting).await;
        let waiting: Vec<_> = connected.into_iter().filter_map(|done| done.ok()?.ok()).collect();
        assert!(waiting.len() < WAITING, "the queue is full");
        Self { _listener: listener.into(), _waiting: waiting }
    }
}

#[tokio::test]
async fn the_next_address_of_a_name_is_called_within_the_same_attempt() {
    let names = NameServer::start();
    let builder = Platform::builder().retries("10m").without_health_rule();
    let builder = builder.set("POSTRIDER_DNS_SERVERS", &names.setting());
    let builder = builder.set("POSTRIDER_ALLOW_NETWORKS", "127.0.0.0/8,::1/128");
    // An address that hangs takes half of the time.
    let builder = builder.set("POSTRIDER_CONNECT_TIMEOUT", "15s").set("POSTRIDER_REQUEST_TIMEOUT", "30s");
    let stage = Stage::with_builder(builder).await;
    // Nothing listens at 127.0.0.2 and ::1 on the receiver's port.
    for (about, addresses) in [
        ("the first refuses", &["127.0.0.2", "127.0.0.1"][..]),
        ("IPv6 refuses", &["::1", "127.0.0.1"]),
        ("four refuse", &["127.0.0.2", "127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.1"]),
        ("the first hangs", &["127.0.0.93", "127.0.0.1"]),
        ("the first hangs, the second refuses", &["127.0.0.93", "127.0.0.2", "127.0.0.1"]),
    ] {
        names.set(NAME, addresses);
        let receiver = Receiver::start_with(&stage.platform.authority, &["http/1.1"]).await;
        let hanging = SocketAddr::from(([127, 0, 0, 93], receiver.port()));
        let _hanging = HangingAddress::start(hanging).await;
        let url = format!("https://{NAME}:{}/hook", receiver.port());
        let webhook = stage.brand.create_webhook(&url, &["NOTIFICATION"]).await;
        let event = Event::sms("acme");
        stage.publish_event(&event).await;
        let attempt = stage.brand.wait_attempts(&webhook, event.id(), 1).await.remove(0);
        assert_eq!(attempt["outcome"], "delivered", "{about}: {attempt}");
        stage.brand.delete_webhook(&webhook).await;
    }
}
