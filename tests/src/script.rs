//! Answers of a receiver.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

/// One answer, or none.
#[derive(Debug, Clone)]
pub enum Reply {
    /// An HTTP answer.
    Answer(Answer),
    /// The request is read and never answered.
    Hang,
    /// The connection is closed without an answer.
    Drop,
}

/// An HTTP answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers, in this order.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Body,
    /// How long the receiver waits before it sends the headers.
    pub delay: Duration,
    /// The answer is sent only when this gate is open.
    pub gate: Option<Gate>,
}

/// The body of an answer.
#[derive(Debug, Clone)]
pub enum Body {
    /// The whole body at once.
    Whole(Bytes),
    /// An endless body, as fast as the client reads.
    Endless,
    /// A byte at each interval, without end.
    Drip(Duration),
}

impl Reply {
    /// Answers with this status and an empty body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        let body = Body::Whole(Bytes::new());
        Self::Answer(Answer { status, headers: Vec::new(), body, delay: Duration::ZERO, gate: None })
    }

    /// Answers 200.
    #[must_use]
    pub fn ok() -> Self {
        Self::status(200)
    }

    /// Adds this header.
    #[must_use]
    pub fn header(self, name: &'static str, value: impl Into<String>) -> Self {
        self.with(|answer| answer.headers.push((name, value.into())))
    }

    /// Sets a text body.
    #[must_use]
    pub fn text(self, text: impl Into<Bytes>) -> Self {
        self.body(Body::Whole(text.into()))
    }

    /// Sets this body.
    #[must_use]
    pub fn body(self, body: Body) -> Self {
        self.with(|answer| answer.body = body)
    }

    /// Answers after this delay.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        self.with(|answer| answer.delay = delay)
    }

    /// Answers once the gate is open.
    #[must_use]
    pub fn behind(self, gate: &Gate) -> Self {
        self.with(|answer| answer.gate = Some(gate.clone()))
    }

    fn with(mut self, change: impl FnOnce(&mut Answer)) -> Self {
        if let Self::Answer(answer) = &mut self {
            change(answer);
        }
        self
    }
}

/// Holds answers back until a test opens it.
#[derive(Debug, Clone)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// Creates a closed gate.
    #[must_use]
    pub fn closed() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Lets all answers pass from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is open.
    pub async fn passed(&self) {
        // This cannot fail, because the sender is in `self`.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// The answers of a path, one for each request; the last is repeated.
#[derive(Debug)]
pub(crate) struct Script {
    first: VecDeque<Reply>,
    then: Reply,
}

impl Default for Script {
    fn default() -> Self {
        Self { first: VecDeque::new(), then: Reply::ok() }
    }
}

impl Script {
    /// # Panics
    /// When there is no answer.
    pub(crate) fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let mut first: VecDeque<_> = replies.into_iter().collect();
        let then = first.pop_back().expect("a script has at least one answer");
        Self { first, then }
    }

    pub(crate) fn next(&mut self) -> Reply {
        self.first.pop_front().unwrap_or_else(|| self.then.clone())
    }
}
