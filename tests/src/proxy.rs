//! A TCP relay in front of a server, which a test can cut and heal: to the services the server is
//! away and comes back, and no other test notices.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::ports::Port;

/// A relay. It is cut when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    target: SocketAddr,
    relaying: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A relay to `target` that is still cut.
    #[must_use]
    pub fn cut_from(target: SocketAddr) -> Self {
        Self { port: Port::take(), target, relaying: None }
    }

    /// A relay to the server in this URL, open, and the URL that leads through it.
    ///
    /// # Panics
    /// When the URL has no host and port.
    pub async fn before(url: &str) -> (Self, String) {
        let authority = url.split("://").nth(1).expect("a URL").split('/').next().expect("an authority");
        let host = authority.rsplit('@').next().expect("a host");
        let target = tokio::net::lookup_host(host).await.expect("host:port").next().expect("an address");
        let mut proxy = Self::cut_from(target);
        proxy.heal().await;
        let through = url.replacen(host, &proxy.port.address().to_string(), 1);
        (proxy, through)
    }

    /// Lets connections through.
    ///
    /// # Panics
    /// When its port was taken meanwhile.
    pub async fn heal(&mut self) {
        let listener = TcpListener::bind(self.port.address()).await.expect("the relay's port");
        self.relaying = Some(tokio::spawn(relay(listener, self.target)));
    }

    /// Closes all connections and refuses new ones.
    pub fn cut(&mut self) {
        if let Some(relaying) = self.relaying.take() {
            relaying.abort();
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

async fn relay(listener: TcpListener, target: SocketAddr) {
    // The connections go with the task that holds them.
    let mut connections = JoinSet::new();
    while let Ok((mut from, _)) = listener.accept().await {
        connections.spawn(async move {
            if let Ok(mut to) = TcpStream::connect(target).await {
                let _ = copy_bidirectional(&mut from, &mut to).await;
            }
        });
    }
}
