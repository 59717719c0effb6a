//! A socket that must move: what is to be written leaves in time, and the head of a request arrives in time.
//!
//! hyper has a timeout for heads alone. A client that reads nothing would otherwise hold its connection, and the memory
//! of its response, for ever.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

/// Bounds the time for which a client may block a connection without moving a byte. A packet that is lost and sent
/// again takes a few seconds.
pub(crate) const STALL_TIMEOUT: Duration = Duration::from_secs(10);
/// Least rate in bytes a second at which a client reads responses and sends bodies, because one byte every few seconds
/// would otherwise hold a connection for hours. It is a tenth of the slowest mobile connections.
pub(crate) const MIN_BYTES_PER_SECOND: u32 = 4096;

/// The time for which a client may still block the connection.
///
/// Blocked time uses it up, and each byte that moves restores some of it, up to [`STALL_TIMEOUT`]. So a client that
/// moves fewer bytes than [`MIN_BYTES_PER_SECOND`] for a while is found, however evenly it moves them.
#[derive(Debug)]
pub(crate) struct ProgressBudget {
    left: Duration,
    blocked_since: Option<Instant>,
}

impl ProgressBudget {
    pub(crate) const fn new() -> Self {
        Self { left: STALL_TIMEOUT, blocked_since: None }
    }

    /// Notes that nothing moves now, and returns when the budget ends.
    pub(crate) fn block(&mut self, now: Instant) -> Instant {
        *self.blocked_since.get_or_insert(now) + self.left
    }

    /// Notes that bytes moved.
    pub(crate) fn advance(&mut self, bytes: usize, now: Instant) {
        if let Some(since) = self.blocked_since.take() {
            self.left = self.left.saturating_sub(now.saturating_duration_since(since));
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(bytes.into()) / MIN_BYTES_PER_SECOND;
        self.left = self.left.saturating_add(earned).min(STALL_TIMEOUT);
    }
}

/// The limits on the wait for a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WaitLimits {
    /// Longest time from the first byte of a head to its last, and from the connection to the end of its first head.
    pub(crate) head: Duration,
    /// Longest time between a response and the first byte of the next head.
    pub(crate) keep_alive: Duration,
}

/// The place of a connection in its exchanges, shared by its socket and its service.
#[derive(Debug)]
pub(crate) struct Exchange {
    limits: WaitLimits,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    /// Requests whose response is not written yet. hyper may read a request while it writes the response before it.
    in_flight: usize,
    /// The task that waits for the next byte. A response may end while it sleeps without a deadline.
    reader: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No byte of a head has arrived.
    Waiting { until: Instant },
    /// A head is arriving.
    Head { until: Instant },
    /// A request is being served. Its handler and its bodies have their own timeouts.
    Serving,
}

impl Exchange {
    pub(crate) fn new(limits: WaitLimits) -> Self {
        let phase = Phase::Waiting { until: Instant::now() + limits.head };
        Self { limits, state: Mutex::new(State { phase, in_flight: 0, reader: None }) }
    }

    fn with_state<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        // A poisoned lock is safe to use, because no panic can leave the state half changed.
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that a request has arrived, which is in flight until the returned guard is dropped.
    pub(crate) fn begin_request(self: &Arc<Self>) -> RequestInFlight {
        self.with_state(|state| {
            state.phase = Phase::Serving;
            state.in_flight += 1;
        });
        RequestInFlight(Arc::clone(self))
    }

    fn end_request(&self) {
        let until = Instant::now() + self.limits.keep_alive;
        let reader = self.with_state(|state| {
            state.in_flight -= 1;
            if state.in_flight > 0 {
                return None;
            }
            state.phase = Phase::Waiting { until };
            state.reader.take()
        });
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn note_bytes(&self) {
        self.with_state(|state| {
            if let Phase::Waiting { until } = state.phase {
                // The first head has no more time than the connection had.
                state.phase = Phase::Head { until: until.min(Instant::now() + self.limits.head) };
            }
        });
    }

    /// Returns when the wait for bytes ends. The task is woken when that time changes.
    fn read_deadline(&self, waker: &Waker) -> Option<Instant> {
        self.with_state(|state| {
            match &mut state.reader {
                Some(reader) => reader.clone_from(waker),
                reader @ None => *reader = Some(waker.clone()),
            }
            match state.phase {
                Phase::Waiting { until } | Phase::Head { until } => Some(until),
                Phase::Serving => None,
            }
        })
    }
}

/// A request whose response is not written yet.
#[derive(Debug)]
pub(crate) struct RequestInFlight(Arc<Exchange>);

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        self.0.end_request();
    }
}

/// A socket that can be closed without waiting for its client.
pub(crate) trait Abort {
    /// Makes closing drop what the client has not read.
    fn abort(&self);
}

impl Abort for TcpStream {
    fn abort(&self) {
        // The kernel would otherwise keep the bytes for minutes after the socket is closed.
        let _ = self.set_zero_linger();
    }
}

/// A stream that fails with [`io::ErrorKind::TimedOut`] when its client makes no progress.
#[derive(Debug)]
pub(crate) struct ProgressStream<S> {
    stream: S,
    exchange: Arc<Exchange>,
    writing: ProgressBudget,
    read_timer: Timer,
    write_timer: Timer,
}

impl<S: Abort> ProgressStream<S> {
    pub(crate) fn new(stream: S, exchange: Arc<Exchange>) -> Self {
        let writing = ProgressBudget::new();
        Self { stream, exchange, writing, read_timer: Timer::default(), write_timer: Timer::default() }
    }

    fn watch_write(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(Ok(bytes)) => self.writing.advance(*bytes, Instant::now()),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                let deadline = self.writing.block(Instant::now());
                ready!(self.write_timer.poll_until(deadline, cx));
                self.stream.abort();
                return Poll::Ready(Err(timed_out("the client reads too slowly")));
            }
        }
        written
    }
}

fn timed_out(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, text)
}

impl<S: AsyncRead + Abort + Unpin> AsyncRead for ProgressStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {
                if buffer.filled().len() > before {
                    this.exchange.note_bytes();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let Some(deadline) = this.exchange.read_deadline(cx.waker()) else { return Poll::Pending };
                ready!(this.read_timer.poll_until(deadline, cx));
                Poll::Ready(Err(timed_out("no request arrived in time")))
            }
        }
    }
}

impl<S: AsyncWrite + Abort + Unpin> AsyncWrite for ProgressStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch_write(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch_write(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A timer that is allocated when it is first needed, because most connections never wait.
#[derive(Debug, Default)]
pub(crate) struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    pub(crate) fn poll_until(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    const LIMITS: WaitLimits =
        WaitLimits { head: Duration::from_secs(10), keep_alive: Duration::from_secs(75) };
    const SECOND: Duration = Duration::from_secs(1);

    impl Abort for DuplexStream {
        fn abort(&self) {}
    }

    fn watched() -> (ProgressStream<DuplexStream>, Arc<Exchange>, DuplexStream) {
        let (near, far) = tokio::io::duplex(16);
        let exchange = Arc::new(Exchange::new(LIMITS));
        (ProgressStream::new(near, Arc::clone(&exchange)), exchange, far)
    }

    #[test]
    fn bytes_restore_the_budget_up_to_its_start() {
        let start = Instant::now();
        let mut budget = ProgressBudget::new();
        assert_eq!(budget.block(start), start + STALL_TIMEOUT);
        budget.advance(MIN_BYTES_PER_SECOND as usize, start + 4 * SECOND);
        assert_eq!(budget.block(start + 4 * SECOND), start + 11 * SECOND, "six seconds and one earned");
        budget.advance(usize::MAX, start + 5 * SECOND);
        assert_eq!(budget.block(start), start + STALL_TIMEOUT);
    }

    #[test]
    fn a_client_below_the_least_rate_is_found_and_one_above_it_is_not() {
        let survives = |bytes: usize| {
            let mut now = Instant::now();
            let mut budget = ProgressBudget::new();
            (0..1000).all(|_| {
                let deadline = budget.block(now);
                now += 5 * SECOND;
                budget.advance(bytes, now);
                deadline >= now
            })
        };
        assert!(!survives(1) && !survives(4 * MIN_BYTES_PER_SECOND as usize));
        assert!(survives(5 * MIN_BYTES_PER_SECOND as usize));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_is_given_up() {
        let (mut stream, _, _far) = watched();
        let began = Instant::now();
        let error = stream.write_all(&[0; 64]).await.expect_err("given up");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_head_has_the_head_timeout_even_if_it_trickles() {
        let (mut stream, _, mut far) = watched();
        let began = Instant::now();
        let trickle = crate::tasks::spawn_named("test", async move {
            while far.write_all(b"x").await.is_ok() {
                tokio::time::sleep(SECOND).await;
            }
        });
        let error = stream.read_to_end(&mut Vec::new()).await.expect_err("given up");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 10));
        drop(stream);
        trickle.await.expect("ended");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_in_service_has_no_deadline_and_the_next_one_has_the_keep_alive_timeout() {
        let (mut stream, exchange, _far) = watched();
        let request = exchange.begin_request();
        let pipelined = exchange.begin_request();
        let began = Instant::now();
        let serving = crate::tasks::spawn_named("test", async move {
            tokio::time::sleep(100 * SECOND).await;
            drop(request);
            tokio::time::sleep(100 * SECOND).await;
            drop(pipelined);
        });
        let error = stream.read_u8().await.expect_err("given up");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 275));
        serving.await.expect("ended");
    }
}
