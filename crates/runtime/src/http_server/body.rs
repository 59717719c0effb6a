//! Bodies of requests that must arrive at a least rate, and of responses that hold a permit until they are read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::Instant;

use crate::http_server::progress::{ProgressBudget, Timer};

/// The error of a request body that arrives too slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body arrives too slowly")]
pub struct BodyTooSlow;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request, which fails with [`BodyTooSlow`] when its client makes no progress.
pub(crate) struct RequestBody {
    body: Incoming,
    reading: ProgressBudget,
    timer: Timer,
    too_slow: bool,
}

impl RequestBody {
    pub(crate) fn new(body: Incoming) -> Self {
        Self { body, reading: ProgressBudget::new(), timer: Timer::default(), too_slow: false }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.too_slow {
            return Poll::Ready(Some(Err(BodyTooSlow.into())));
        }
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(frame) => {
                let bytes =
                    frame.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref()).map_or(0, Bytes::len);
                this.reading.advance(bytes, Instant::now());
                Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)))
            }
            Poll::Pending => {
                let deadline = this.reading.block(Instant::now());
                ready!(this.timer.poll_until(deadline, cx));
                this.too_slow = true;
                Poll::Ready(Some(Err(BodyTooSlow.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a response that holds a permit until its client has read it or is gone.
///
/// hyper drops a body as soon as it has taken the last bytes, long before it has written them. So the bytes hold the
/// permit as well.
pub struct HeldBody<P> {
    body: Body,
    permit: Arc<P>,
}

/// Bytes that hold a permit until the last reference to them is gone.
struct HeldBytes<P> {
    bytes: Bytes,
    _permit: Arc<P>,
}

impl<P> AsRef<[u8]> for HeldBytes<P> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<P> HeldBody<P> {
    /// Creates a body that holds `permit`.
    pub fn new(body: Body, permit: P) -> Self {
        Self { body, permit: Arc::new(permit) }
    }
}

impl<P: Send + Sync + 'static> HttpBody for HeldBody<P> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let permit = &self.permit;
        let hold = |bytes| Bytes::from_owner(HeldBytes { bytes, _permit: Arc::clone(permit) });
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(hold))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    #[tokio::test]
    async fn the_bytes_of_a_body_hold_its_permit() {
        let permit = Arc::new(());
        let mut body = HeldBody::new(Body::from("text"), Arc::clone(&permit));
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await.expect("a frame");
        let bytes = frame.expect("no error").into_data().expect("data");
        drop(body);
        let part = bytes.slice(1..3);
        drop(bytes);
        assert_eq!((&part[..], Arc::strong_count(&permit)), (&b"ex"[..], 2));
        drop(part);
        assert_eq!(Arc::strong_count(&permit), 1);
    }
}
