//! A TCP relay in front of a server, which a test can cut, slow down, silence and heal: to the services
//! the server is away and comes back, and no other test notices.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::ports::Port;

/// How much is passed on at once.
const CHUNK: usize = 16 * 1024;

/// What a relay does with the bytes of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// It passes them on.
    Clear,
    /// It passes each lot on after this long.
    Slow(Duration),
    /// It takes connections and bytes, and passes nothing on, either way.
    Still,
    /// The server hears, and its answers do not arrive.
    AnswersHeld,
    /// The server is not heard any more, and what it says arrives.
    RequestsHeld,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    ToClient,
}

impl Weather {
    fn passes(self, way: Way) -> bool {
        match self {
            Self::Clear | Self::Slow(_) => true,
            Self::Still => false,
            Self::AnswersHeld => way == Way::ToServer,
            Self::RequestsHeld => way == Way::ToClient,
        }
    }

    fn delay(self) -> Duration {
        if let Self::Slow(delay) = self { delay } else { Duration::ZERO }
    }
}

/// The weather of the connections that are made now; those that were abandoned keep theirs.
#[derive(Debug, Clone)]
struct Sky(Arc<Mutex<watch::Sender<Weather>>>);

impl Sky {
    fn now(&self) -> MutexGuard<'_, watch::Sender<Weather>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A relay. It is cut when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: Port,
    target: SocketAddr,
    sky: Sky,
    relaying: Option<JoinHandle<()>>,
    /// What was cut, as it lets go of the port.
    ending: Option<JoinHandle<()>>,
}

impl Proxy {
    /// A relay to `target` that is still cut.
    #[must_use]
    pub fn cut_from(target: SocketAddr) -> Self {
        let sky = Sky(Arc::new(Mutex::new(watch::Sender::new(Weather::Clear))));
        Self { port: Port::take(), target, sky, relaying: None, ending: None }
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

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Lets everything through: what was held back goes on, new connections are taken.
    ///
    /// # Panics
    /// When its port was taken meanwhile.
    pub async fn heal(&mut self) {
        self.set(Weather::Clear);
        if let Some(ending) = self.ending.take() {
            let _ = ending.await;
        }
        if self.relaying.is_none() {
            let listener = TcpListener::bind(self.port.address()).await.expect("the relay's port");
            self.relaying = Some(tokio::spawn(relay(listener, self.target, self.sky.clone())));
        }
    }

    /// Closes all connections and refuses new ones.
    pub fn cut(&mut self) {
        if let Some(relaying) = self.relaying.take() {
            relaying.abort();
            self.ending = Some(relaying);
        }
    }

    /// Treats all connections so from now on, also those that are there.
    pub fn set(&mut self, weather: Weather) {
        self.sky.now().send_replace(weather);
    }

    /// Forgets the connections that are there: they stay open and silent for good, as with a router in
    /// between that lost its table. New ones pass.
    pub fn abandon(&mut self) {
        let mut now = self.sky.now();
        now.send_replace(Weather::Still);
        // The pumps of the old connections wait for a change that never comes.
        *now = watch::Sender::new(Weather::Clear);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.cut();
    }
}

async fn relay(listener: TcpListener, target: SocketAddr, sky: Sky) {
    // The connections go with the task that holds them.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let weather = sky.now().subscribe();
        connections.spawn(pass(client, target, weather));
        while connections.try_join_next().is_some() {}
    }
}

/// Passes bytes both ways until both sides are done, or one fails.
async fn pass(client: TcpStream, target: SocketAddr, weather: watch::Receiver<Weather>) {
    let Ok(server) = TcpStream::connect(target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = pump(from_client, to_server, weather.clone(), Way::ToServer);
    let back = pump(from_server, to_client, weather, Way::ToClient);
    let _ = tokio::try_join!(there, back);
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    way: Way,
) -> std::io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk).await?;
        let Ok(now) = weather.wait_for(|now| now.passes(way)).await.map(|now| *now) else {
            // Abandoned: both sides keep waiting.
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
