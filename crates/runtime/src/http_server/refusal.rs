//! The response to a connection for which there is no slot.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::tasks;

/// Most refused connections that wait for their client to read the response. Further ones are closed at once.
const MAX_LINGERING: usize = 256;
/// Longest time that a refused connection stays open, so that its client can read the response.
const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest wait for the begin of a request, because clients take a response before their request for a broken protocol.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);
/// Most bytes that are read from a refused connection. Unread bytes would make the kernel reset the connection, and
/// the client would not see the response.
const MAX_LINGER_BYTES: u64 = 16 * 1024;

static RESPONSE: LazyLock<String> = LazyLock::new(|| {
    let body = r#"{"type":"/docs/errors#overloaded","title":"Overloaded","status":503,"detail":"too many connections; close some, or try again soon"}"#;
    format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\nretry-after: 2\r\n\
         cache-control: no-store\r\ncontent-security-policy: default-src 'none'; frame-ancestors 'none'\r\n\
         x-content-type-options: nosniff\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
});

/// Refuses connections with 503.
#[derive(Debug, Clone)]
pub(crate) struct Refusals(Arc<Semaphore>);

impl Refusals {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MAX_LINGERING)))
    }

    /// Sends the response and closes the connection. The caller does not wait.
    pub(crate) fn refuse(&self, stream: TcpStream) {
        let Ok(permit) = Arc::clone(&self.0).try_acquire_owned() else {
            // The response fits into the buffer of a new socket.
            let _ = stream.try_write(RESPONSE.as_bytes());
            return;
        };
        tasks::spawn_named("refused connection", async move {
            let _ = tokio::time::timeout(LINGER_TIMEOUT, respond_and_close(stream)).await;
            drop(permit);
        });
    }
}

async fn respond_and_close(mut stream: TcpStream) -> std::io::Result<()> {
    if let Ok(received) = tokio::time::timeout(REQUEST_TIMEOUT, stream.read(&mut [0; 1024])).await {
        received?;
    }
    stream.write_all(RESPONSE.as_bytes()).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(MAX_LINGER_BYTES), &mut tokio::io::sink()).await?;
    Ok(())
}
