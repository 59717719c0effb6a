//! Servers that are not proper HTTPS endpoints.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::tls::{Authority, server_config};

/// A server that answers every connection with the same bytes, and stops when it is dropped.
#[derive(Debug)]
pub struct RawServer {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

impl RawServer {
    /// Starts it with TLS and a certificate of this authority. It reads some of the request, answers with
    /// `bytes`, and closes.
    pub async fn tls(authority: &Authority, bytes: &'static [u8]) -> Self {
        let acceptor = TlsAcceptor::from(server_config(&authority.identity(), &["http/1.1"]));
        Self::start(Some(acceptor), bytes).await
    }

    /// Starts it without TLS, like an HTTP server.
    pub async fn plain(bytes: &'static [u8]) -> Self {
        Self::start(None, bytes).await
    }

    async fn start(tls: Option<TlsAcceptor>, bytes: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let tls = tls.map(Arc::new);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer_connection(stream, tls.clone(), bytes));
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

impl Drop for RawServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer_connection(mut stream: TcpStream, tls: Option<Arc<TlsAcceptor>>, bytes: &'static [u8]) {
    let mut request = [0; 4096];
    // The test looks at the client's reaction, not at this result.
    if let Some(tls) = tls {
        let Ok(mut stream) = tls.accept(stream).await else { return };
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
    } else {
        let _ = stream.read(&mut request).await;
        let _ = stream.write_all(bytes).await;
    }
}
