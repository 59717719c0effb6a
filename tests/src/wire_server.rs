//! An endpoint whose every byte, and the end of whose connections, a test chooses.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::{Authority, Identity, server_config};

/// A request as it was on the wire.
#[derive(Debug, Clone)]
pub struct WireRequest {
    /// The number of its connection, counted from 1.
    pub connection: usize,
    /// Its number on the connection, counted from 1.
    pub number: usize,
    /// The request line and the headers, byte for byte.
    pub head: String,
    /// The target of the request line, byte for byte.
    pub target: String,
    /// Headers by their names in lower case.
    pub headers: HashMap<String, String>,
    /// The body; empty if the reply did not wait for it.
    pub body: Vec<u8>,
}

impl WireRequest {
    /// Returns the id of the event.
    ///
    /// # Panics
    /// When the request has none.
    #[must_use]
    pub fn event_id(&self) -> &str {
        self.headers.get("webhook-id").expect("the header webhook-id")
    }

    /// Returns the id of the attempt.
    ///
    /// # Panics
    /// When the body was not read.
    #[must_use]
    pub fn attempt_id(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).expect("an envelope");
        body["attemptId"].as_str().expect("the attempt's id").to_owned()
    }
}

/// The server's reaction to one request.
#[derive(Debug, Clone)]
pub struct WireReply {
    /// The bytes that it sends.
    pub bytes: Vec<u8>,
    /// Whether it sends them before it reads the body, which it then never reads.
    pub is_early: bool,
    /// The fate of the connection then.
    pub end: End,
}

/// The fate of a connection after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It waits for the next request.
    Keep,
    /// TLS says that it ends, then TCP does.
    CloseNotify,
    /// TCP ends without a word of TLS.
    Fin,
    /// The connection is reset.
    Reset,
    /// It stays open, and nothing more happens on it.
    Silence,
}

impl WireReply {
    /// Sends these bytes and keeps the connection.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), is_early: false, end: End::Keep }
    }

    /// Answers 200 with an empty body and keeps the connection.
    #[must_use]
    pub fn ok() -> Self {
        Self::new("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    }

    /// Sends nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::new("")
    }

    /// Answers before the body of the request is read.
    #[must_use]
    pub fn early(self) -> Self {
        Self { is_early: true, ..self }
    }

    /// Ends the connection in this way.
    #[must_use]
    pub fn then(self, end: End) -> Self {
        Self { end, ..self }
    }
}

type Choose = dyn Fn(&WireRequest) -> WireReply + Send + Sync;

/// An HTTPS server that stops when it is dropped. It serves several requests of a connection one after the other.
#[derive(Debug)]
pub struct WireServer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<WireRequest>>>,
    accepting: JoinHandle<()>,
}

impl WireServer {
    /// Starts a server with a certificate of this authority. `choose` sees the head of a request and decides about it.
    pub async fn start(
        authority: &Authority,
        choose: impl Fn(&WireRequest) -> WireReply + Send + Sync + 'static,
    ) -> Self {
        Self::start_as(&authority.identity(), choose).await
    }

    /// Starts a server with this certificate.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start_as(
        identity: &Identity,
        choose: impl Fn(&WireRequest) -> WireReply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let acceptor = TlsAcceptor::from(server_config(identity, &["http/1.1"]));
        let requests: Arc<Mutex<Vec<WireRequest>>> = Arc::default();
        let choose: Arc<Choose> = Arc::new(choose);
        let log = Arc::clone(&requests);
        let accepting = tokio::spawn(async move {
            // Dropping the set closes the connections.
            let mut connections = JoinSet::new();
            let mut number = 0;
            while let Ok((stream, _)) = listener.accept().await {
                number += 1;
                let (acceptor, choose, log) = (acceptor.clone(), Arc::clone(&choose), Arc::clone(&log));
                // Otherwise a reset could overtake the response, which the kernel holds back until the client acknowledges.
                stream.set_nodelay(true).expect("a setting of the socket");
                connections.spawn(async move {
                    // The test looks at the client's reaction, not at this result.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        let _ = serve(stream, number, &choose, &log).await;
                    }
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, requests, accepting }
    }

    /// Returns an endpoint URL that leads to it.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("localhost", "/hook")
    }

    /// Returns the URL of this host, a name or address of the certificate, and of this path and query.
    #[must_use]
    pub fn url_of(&self, host: &str, path: &str) -> String {
        format!("https://{host}:{}{path}", self.address.port())
    }

    /// Returns the requests so far. One whose reply was not early is listed once its body has arrived.
    #[must_use]
    pub fn requests(&self) -> Vec<WireRequest> {
        lock(&self.requests).clone()
    }

    /// Returns the requests so far for one event.
    #[must_use]
    pub fn requests_of(&self, event: &str) -> Vec<WireRequest> {
        self.requests().into_iter().filter(|request| request.event_id() == event).collect()
    }
}

impl Drop for WireServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock(requests: &Mutex<Vec<WireRequest>>) -> MutexGuard<'_, Vec<WireRequest>> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(
    mut stream: TlsStream<TcpStream>,
    connection: usize,
    choose: &Arc<Choose>,
    log: &Mutex<Vec<WireRequest>>,
) -> io::Result<()> {
    let mut unread = Vec::new();
    for number in 1.. {
        let Some(head) = read_head(&mut stream, &mut unread).await? else { return Ok(()) };
        let mut request = parse_head(&head, connection, number);
        let reply = choose(&request);
        if !reply.is_early {
            let length = request.headers.get("content-length").and_then(|text| text.parse().ok());
            request.body = read_body(&mut stream, &mut unread, length.unwrap_or(0)).await?;
        }
        lock(log).push(request);
        stream.write_all(&reply.bytes).await?;
        stream.flush().await?;
        match reply.end {
            End::Keep => {}
            End::CloseNotify => return stream.shutdown().await,
            End::Fin => return stream.get_mut().0.shutdown().await,
            End::Reset => return stream.get_ref().0.set_zero_linger(),
            End::Silence => std::future::pending().await,
        }
    }
    Ok(())
}

/// Reads a head with its empty line; `None` at the end of the connection.
async fn read_head(stream: &mut TlsStream<TcpStream>, unread: &mut Vec<u8>) -> io::Result<Option<String>> {
    loop {
        if let Some(end) = unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = unread.drain(..end + 4).collect::<Vec<u8>>();
            return Ok(Some(String::from_utf8_lossy(&head).into_owned()));
        }
        if stream.read_buf(unread).await? == 0 {
            return Ok(None);
        }
    }
}

async fn read_body(
    stream: &mut TlsStream<TcpStream>,
    unread: &mut Vec<u8>,
    length: usize,
) -> io::Result<Vec<u8>> {
    while unread.len() < length {
        if stream.read_buf(unread).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(unread.drain(..length).collect())
}

fn parse_head(head: &str, connection: usize, number: usize) -> WireRequest {
    let mut lines = head.lines();
    let target = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    WireRequest { connection, number, head: head.to_owned(), target, headers, body: Vec::new() }
}
