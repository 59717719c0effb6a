//! A stream that notes the bytes that arrive, so that a failed exchange knows whether the endpoint responded.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::response_head::{HeadScanner, ResponseHead};

/// Notes the bytes that arrive on a connection.
#[derive(Debug, Default)]
pub(super) struct Observation(Mutex<Arrived>);

#[derive(Debug, Default)]
struct Arrived {
    /// Bytes since the connection was opened.
    bytes: u64,
    scanner: HeadScanner,
}

impl Observation {
    /// Begins to scan another response, and returns the number of bytes that arrived before it.
    pub(super) fn expect_response(&self) -> u64 {
        let mut arrived = self.lock();
        arrived.scanner = HeadScanner::default();
        arrived.bytes
    }

    /// Returns the number of bytes that arrived since the connection was opened.
    pub(super) fn received_bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Returns the head of an HTTP/1.1 response, once its status line has arrived.
    pub(super) fn response_head(&self) -> Option<ResponseHead> {
        self.lock().scanner.head().cloned()
    }

    fn note(&self, bytes: &[u8]) {
        let mut arrived = self.lock();
        arrived.bytes += bytes.len() as u64;
        arrived.scanner.read(bytes);
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        // A poisoned lock is safe to use, because no panic can leave a scanner half changed that anyone reads.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream whose arriving bytes are noted.
#[derive(Debug)]
pub(super) struct ObservedStream<S> {
    stream: S,
    observation: Arc<Observation>,
}

impl<S> ObservedStream<S> {
    pub(super) fn new(stream: S, observation: Arc<Observation>) -> Self {
        Self { stream, observation }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ObservedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(arrived) = buffer.filled().get(before..).filter(|arrived| !arrived.is_empty()) {
            self.observation.note(arrived);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ObservedStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn the_bytes_of_a_response_are_noted_until_the_next_is_expected() {
        let (near, mut far) = tokio::io::duplex(64);
        let observation = Arc::new(Observation::default());
        let mut near = ObservedStream::new(near, Arc::clone(&observation));
        near.write_all(b"request").await.expect("written");
        assert_eq!(observation.received_bytes(), 0);
        far.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.expect("written");
        let mut buffer = [0; 64];
        let read = near.read(&mut buffer).await.expect("read");
        assert_eq!(observation.received_bytes(), read as u64);
        assert_eq!(observation.response_head().map(|head| head.status), Some(204));
        let before = observation.expect_response();
        assert_eq!((before, observation.response_head()), (read as u64, None));
        drop(far);
        assert_eq!(near.read(&mut buffer).await.expect("the end"), 0);
        assert_eq!(observation.received_bytes(), before, "an end is no byte");
    }
}
