//! Reads the rest of a request body before the response is sent.
//!
//! A handler may answer without reading the whole body. A client that is still sending would then see a broken
//! connection instead of the response, or at its next request.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use futures_util::StreamExt;
use hyper::body::{Frame, SizeHint};

/// Most bytes that are drained before the connection is given up.
const MAX_DRAIN_BYTES: usize = 8 * 1024 * 1024;
/// Longest time that draining may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

type Slot = Arc<Mutex<Option<Body>>>;

/// The unread rest of a body, once its handler has dropped it.
#[derive(Debug)]
pub(crate) struct UnreadBody(Slot);

/// Wraps a body so that its unread rest can be drained after the handler has dropped it.
pub(crate) fn track_body(body: Body) -> (Body, UnreadBody) {
    let slot = Slot::default();
    let tracked = ReturnOnDrop { body, slot: Arc::clone(&slot) };
    (Body::new(tracked), UnreadBody(slot))
}

impl UnreadBody {
    /// Reads and discards the rest of the body, within the bounds.
    pub(crate) async fn drain(self) {
        let Some(body) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let mut chunks = body.into_data_stream();
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, async move {
            let mut drained = 0;
            while let Some(Ok(chunk)) = chunks.next().await {
                drained += chunk.len();
                if drained > MAX_DRAIN_BYTES {
                    return;
                }
            }
        })
        .await;
    }
}

/// A body that puts its unread rest into the slot when it is dropped.
struct ReturnOnDrop {
    body: Body,
    slot: Slot,
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
            *self.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A body of ten chunks, with the number of chunks that were read.
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
    async fn the_rest_of_a_body_is_drained() {
        let (body, read) = counted(10);
        let (tracked, unread) = track_body(body);
        let mut chunks = tracked.into_data_stream();
        assert!(chunks.next().await.is_some_and(|chunk| chunk.is_ok()));
        drop(chunks);
        unread.drain().await;
        assert_eq!(read.load(Ordering::Relaxed), 10);
    }

    #[tokio::test]
    async fn draining_has_a_size_limit() {
        let (body, read) = counted(MAX_DRAIN_BYTES / 4);
        let (tracked, unread) = track_body(body);
        drop(tracked);
        unread.drain().await;
        assert_eq!(read.load(Ordering::Relaxed), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn draining_has_a_timeout() {
        let (tracked, unread) =
            track_body(Body::from_stream(futures_util::stream::pending::<Result<Bytes, axum::Error>>()));
        drop(tracked);
        unread.drain().await;
    }
}
