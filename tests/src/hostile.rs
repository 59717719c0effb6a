//! Endpoints that attack their callers with a list of steps.

pub mod attacks;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::tls::{Authority, server_config};

/// Size of each write of an endless answer.
const CHUNK_BYTES: usize = 64 * 1024;

/// An endpoint's behaviour on each connection.
#[derive(Debug, Clone)]
pub struct Attack {
    /// Its name in the measurements.
    pub name: &'static str,
    /// The layer up to which it follows the rules.
    pub layer: Layer,
    /// Its steps, in order; then it closes the connection.
    pub steps: Vec<Step>,
    /// The permitted outcomes of an attempt.
    pub outcomes: &'static [&'static str],
}

/// The layer up to which an endpoint follows the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// It only accepts the connection.
    Tcp,
    /// It speaks proper TLS, with this protocol inside.
    Tls(&'static str),
}

/// One step of an attack.
#[derive(Debug, Clone)]
pub enum Step {
    /// Waits for the first bytes of the client.
    Receive,
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes again and again, as fast as the client reads.
    SendForever(Vec<u8>),
    /// Sends these bytes one at a time, at this interval, again and again.
    Drip(Vec<u8>, Duration),
    /// Sends nothing more, and keeps the connection open.
    KeepOpen,
}

/// A server that attacks its clients until it is dropped.
#[derive(Debug)]
pub struct HostileEndpoint {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl HostileEndpoint {
    /// Starts one with a certificate of this authority.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(authority: &Authority, attack: &Attack) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let acceptor = match attack.layer {
            Layer::Tcp => None,
            Layer::Tls(protocol) => {
                Some(TlsAcceptor::from(server_config(&authority.identity(), &[protocol])))
            }
        };
        let steps: Arc<[Step]> = attack.steps.clone().into();
        let accepting = tokio::spawn(async move {
            // Dropping the task closes its connections.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve_connection(stream, acceptor.clone(), Arc::clone(&steps)));
            }
        });
        Self { address, accepting }
    }

    /// Returns an endpoint URL that leads to it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}/hook", self.address.port())
    }
}

impl Drop for HostileEndpoint {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve_connection(stream: TcpStream, acceptor: Option<TlsAcceptor>, steps: Arc<[Step]>) {
    // The test looks at the client's reaction, not at this result.
    let _ = match acceptor {
        None => run_steps(stream, &steps).await,
        Some(acceptor) => match acceptor.accept(stream).await {
            Ok(stream) => run_steps(stream, &steps).await,
            Err(error) => Err(error),
        },
    };
}

async fn run_steps(stream: impl AsyncRead + AsyncWrite + Unpin, steps: &[Step]) -> std::io::Result<()> {
    let (mut from, mut to) = tokio::io::split(stream);
    let mut buffer = [0; 4096];
    let mut steps = steps.iter();
    if let Some(Step::Receive) = steps.as_slice().first() {
        steps.next();
        let _ = from.read(&mut buffer).await?;
    }
    let sending = async {
        for step in steps {
            send_step(&mut to, step).await?;
        }
        to.shutdown().await
    };
    let reading = async {
        // The server reads everything that the client sends, so that only its answer is at fault.
        while from.read(&mut buffer).await? > 0 {}
        std::future::pending().await
    };
    tokio::select! { sent = sending => sent, read = reading => read }
}

async fn send_step(to: &mut (impl AsyncWrite + Unpin), step: &Step) -> std::io::Result<()> {
    match step {
        Step::Receive => Ok(()),
        Step::Send(bytes) => to.write_all(bytes).await,
        Step::KeepOpen => std::future::pending().await,
        Step::SendForever(bytes) => {
            let chunk = bytes.repeat((CHUNK_BYTES / bytes.len()).max(1));
            loop {
                to.write_all(&chunk).await?;
            }
        }
        Step::Drip(bytes, interval) => {
            for byte in bytes.iter().cycle() {
                to.write_all(std::slice::from_ref(byte)).await?;
                to.flush().await?;
                tokio::time::sleep(*interval).await;
            }
            Ok(())
        }
    }
}
