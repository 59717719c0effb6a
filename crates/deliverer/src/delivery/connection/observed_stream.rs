//! A stream that notes the bytes that arrive: whether and when the endpoint responded, and the head of its response.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::response_head::{HeadScanner, HeaderLines, ResponseHead};

/// Notes the bytes that arrive on a connection.
#[derive(Debug, Default)]
pub(super) struct Observation(Mutex<Arrived>);

#[derive(Debug, Default)]
struct Arrived {
    /// Bytes since the connection was opened.
    bytes: u64,
    scanner: HeadScanner,
    first_byte: FirstByte,
}

/// When the first byte of a response arrived. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct FirstByte(Arc<OnceLock<Instant>>);

impl FirstByte {
    /// Notes that bytes arrived. Only the first call counts.
    pub(crate) fn note(&self) {
        self.0.get_or_init(Instant::now);
    }

    /// Returns when the first byte arrived; `None` if none did.
    pub(crate) fn arrived_at(&self) -> Option<Instant> {
        self.0.get().copied()
    }
}

impl Observation {
    /// Begins to scan another response, and returns the number of bytes that arrived before it. The first byte is noted in
    /// `first_byte`.
    pub(super) fn expect_response(&self, first_byte: FirstByte) -> u64 {
        let mut arrived = self.lock();
        arrived.scanner = HeadScanner::default();
        arrived.first_byte = first_byte;
        arrived.bytes
    }

    /// Takes the header lines of an HTTP/1.1 response. A connection without a request keeps none.
    pub(super) fn take_header_lines(&self) -> HeaderLines {
        self.lock().scanner.take_lines()
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
        arrived.first_byte.note();
        arrived.scanner.read(bytes);
    }

    fn lock(&self) -> MutexGuard<'_, Arrived> {
        // A poisoned lock is safe to use, because no panic can leave a scanner half changed that anyone reads.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream whose arriving bytes are noted.
///
/// An endpoint may respond before it has read the request, and close the connection. The rest of the request can then not
/// be written, while the response has arrived. So a failed write is no error: what follows is not written, and the
/// response, or the end of the connection, decides.
#[derive(Debug)]
pub(super) struct ObservedStream<S> {
    stream: S,
    observation: Arc<Observation>,
    /// Whether a write failed.
    is_write_lost: bool,
}

impl<S> ObservedStream<S> {
    pub(super) fn new(stream: S, observation: Arc<Observation>) -> Self {
        Self { stream, observation, is_write_lost: false }
    }

    /// Returns `written` instead of an error, which is remembered.
    fn forgive<T>(&mut self, result: Poll<io::Result<T>>, written: T) -> Poll<io::Result<T>> {
        if matches!(result, Poll::Ready(Err(_))) {
            self.is_write_lost = true;
            return Poll::Ready(Ok(written));
        }
        result
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
        if self.is_write_lost {
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.forgive(written, bytes.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_write_lost {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.forgive(flushed, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = parts.iter().map(|part| part.len()).sum();
        if self.is_write_lost {
            return Poll::Ready(Ok(length));
        }
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.forgive(written, length)
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
        let before = observation.expect_response(FirstByte::default());
        assert_eq!((before, observation.response_head()), (read as u64, None));
        drop(far);
        assert_eq!(near.read(&mut buffer).await.expect("the end"), 0);
        assert_eq!(observation.received_bytes(), before, "an end is no byte");
    }

    #[tokio::test]
    async fn a_response_is_read_although_the_rest_of_the_request_cannot_be_written() {
        let (near, mut far) = tokio::io::duplex(8);
        let mut near = ObservedStream::new(near, Arc::default());
        far.write_all(b"early").await.expect("written");
        drop(far);
        near.write_all(&[0; 64]).await.expect("no error");
        near.flush().await.expect("no error");
        let mut response = Vec::new();
        near.read_to_end(&mut response).await.expect("read");
        assert_eq!(response, b"early");
    }
}
