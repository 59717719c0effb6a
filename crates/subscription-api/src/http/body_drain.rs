//! What a handler leaves of a request's body. It is read and dropped before the answer goes out: a
//! client that is still sending would otherwise see a broken connection instead of the answer, or at
//! its next request.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use futures_util::StreamExt;
use hyper::body::{Frame, SizeHint};

/// How much of what is left is read before the connection is given up, in bytes.
const MAX_DRAIN_BYTES: usize = 8 * 1024 * 1024;
/// How long that may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

type Slot = Arc<Mutex<Option<Body>>>;

/// Where the rest of a body comes back to.
#[derive(Debug)]
pub struct UnreadBody(Slot);

/// Lends a body out: what is not read of it comes back.
pub fn track_body(body: Body) -> (Body, UnreadBody) {
    let slot = Slot::default();
    let lent = ReturnOnDrop { body, owner: Arc::clone(&slot) };
    (Body::new(lent), UnreadBody(slot))
}

impl UnreadBody {
    /// Reads and drops what came back, within bounds.
    pub async fn drain(self) {
        let Some(body) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let mut chunks = body.into_data_stream();
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, async move {
            let mut seen = 0;
            while let Some(Ok(chunk)) = chunks.next().await {
                seen += chunk.len();
                if seen > MAX_DRAIN_BYTES {
                    return;
                }
            }
        })
        .await;
    }
}

struct ReturnOnDrop {
    body: Body,
    owner: Slot,
}

impl HttpBody for ReturnOnDrop {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ReturnOnDrop {
    fn drop(&mut self) {
        if !self.body.is_end_stream() {
            let rest = std::mem::take(&mut self.body);
            *self.owner.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A body of ten chunks, and how many of them were read.
    fn counted(chunk: usize) -> (Body, Arc<AtomicUsize>) {
        let read = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&read);
        let chunks = futures_util::stream::iter(0..10).map(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::convert::Infallible>(vec![b' '; chunk])
        });
        (Body::from_stream(chunks), read)
    }

    #[tokio::test]
    async fn what_a_handler_leaves_is_read() {
        let (body, read) = counted(10);
        let (lent, unread) = track_body(body);
        let mut chunks = lent.into_data_stream();
        assert!(chunks.next().await.is_some_and(|chunk| chunk.is_ok()));
        drop(chunks);
        unread.drain().await;
        assert_eq!(read.load(Ordering::Relaxed), 10);
    }

    #[tokio::test]
    async fn but_not_without_end() {
        let (body, read) = counted(MAX_DRAIN_BYTES / 4);
        let (lent, unread) = track_body(body);
        drop(lent);
        unread.drain().await;
        assert_eq!(read.load(Ordering::Relaxed), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn nor_without_time() {
        let (lent, unread) =
            track_body(Body::from_stream(futures_util::stream::pending::<Result<Bytes, axum::Error>>()));
        drop(lent);
        unread.drain().await;
    }
}
