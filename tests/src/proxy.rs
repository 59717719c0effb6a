//! A TCP relay in front of a server, which a test can cut, slow down, silence and restore. To the services
//! the server fails and returns, and other tests do not notice.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::ports::Port;

/// Maximum number of bytes that are passed on at once.
const MAX_CHUNK_BYTES: usize = 16 * 1024;

/// How a relay treats the bytes of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayMode {
    /// It passes them on.
    Pass,
    /// It passes each chunk on after this delay.
    Slow(Duration),
    /// It accepts connections and bytes, and passes nothing on in either direction.
    Stall,
    /// The server receives requests, and its answers do not arrive.
    HoldAnswers,
    /// The server receives nothing more, and its answers arrive.
    HoldRequests,
}

/// A direction of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

impl RelayMode {
    fn passes(self, direction: Direction) -> bool {
        match self {
            Self::Pass | Self::Slow(_) => true,
            Self::Stall => false,
            Self::HoldAnswers => direction == Direction::ToServer,
            Self::HoldRequests => direction == Direction::ToClient,
        }
    }

    fn delay(self) -> Duration {
        if let Self::Slow(delay) = self { delay } else { Duration::ZERO }
    }
}

/// The mode of the current connections; abandoned connections keep their own.
#[derive(Debug, Clone)]
struct SharedMode(Arc<Mutex<watch::Sender<RelayMode>>>);

impl SharedMode {
    fn now(&self) -> MutexGuard<'_, watch::Sender<RelayMode>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A relay that is cut when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    target: SocketAddr,
    shared: SharedMode,
    relaying: Option<JoinHandle<()>>,
    /// The task of a cut relay, until it has released the port.
    ending: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Creates a relay to `target` that is still cut.
    #[must_use]
    pub fn new_cut(target: SocketAddr) -> Self {
        let shared = SharedMode(Arc::new(Mutex::new(watch::Sender::new(RelayMode::Pass))));
        Self { port: Port::reserve(), target, shared, relaying: None, ending: None }
    }

    /// Creates an open relay to the server in this URL, and returns it with the URL that leads through it.
    ///
    /// # Panics
    /// When the URL has no host and port.
    pub async fn in_front_of(url: &str) -> (Self, String) {
        let authority = url.split("://").nth(1).expect("a URL").split('/').next().expect("an authority");
        let host = authority.rsplit('@').next().expect("a host");
        let target = tokio::net::lookup_host(host).await.expect("host:port").next().expect("an address");
        let mut proxy = Self::new_cut(target);
        proxy.restore().await;
        let through = url.replacen(host, &proxy.port.address().to_string(), 1);
        (proxy, through)
    }

    /// Returns its listening port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Lets everything through, so that held bytes go on and new connections are accepted.
    ///
    /// # Panics
    /// When another process has taken its port meanwhile.
    pub async fn restore(&mut self) {
        self.set_mode(RelayMode::Pass);
        if let Some(ending) = self.ending.take() {
            let _ = ending.await;
        }
        if self.relaying.is_none() {
            let listener = TcpListener::bind(self.port.address()).await.expect("the relay's port");
            self.relaying = Some(tokio::spawn(relay_connections(listener, self.target, self.shared.clone())));
        }
    }

    /// Closes all connections and refuses new ones.
    pub fn cut(&mut self) {
        if let Some(relaying) = self.relaying.take() {
            relaying.abort();
            self.ending = Some(relaying);
        }
    }

    /// Applies this mode to all connections from now on, including the current ones.
    pub fn set_mode(&mut self, mode: RelayMode) {
        self.shared.now().send_replace(mode);
    }

    /// Forgets the current connections, which stay open and silent for good, as after a router in between has
    /// lost its table. New connections pass.
    pub fn abandon_connections(&mut self) {
        let mut now = self.shared.now();
        now.send_replace(RelayMode::Stall);
        // The tasks of the old connections wait for a change that never comes.
        *now = watch::Sender::new(RelayMode::Pass);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

async fn relay_connections(listener: TcpListener, target: SocketAddr, shared: SharedMode) {
    // Dropping the task that holds the connections closes them.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let mode = shared.now().subscribe();
        connections.spawn(relay_connection(client, target, mode));
        while connections.try_join_next().is_some() {}
    }
}

/// Passes bytes in both directions until both sides are done, or one fails.
async fn relay_connection(client: TcpStream, target: SocketAddr, mode: watch::Receiver<RelayMode>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = copy_bytes(from_client, to_server, mode.clone(), Direction::ToServer);
    let back = copy_bytes(from_server, to_client, mode, Direction::ToClient);
    let _ = tokio::try_join!(there, back);
}

async fn copy_bytes(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<RelayMode>,
    direction: Direction,
) -> std::io::Result<()> {
    let mut chunk = vec![0; MAX_CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await?;
        let Ok(now) = mode.wait_for(|now| now.passes(direction)).await.map(|now| *now) else {
            // The connection is abandoned, so that both sides keep waiting.
            return std::future::pending().await;
        };
        if !now.delay().is_zero() {
            tokio::time::sleep(now.delay()).await;
        }
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..read]).await?;
    }
}
