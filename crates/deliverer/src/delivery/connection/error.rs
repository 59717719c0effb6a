//! Why a request was not answered.

use std::error::Error;
use std::io;
use std::time::Duration;

/// The step at which a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// While the connection was opened.
    Connecting,
    /// Once it was open.
    Exchanging,
}

/// An error of sending a request.
#[derive(Debug, thiserror::Error)]
#[error("the request was not answered")]
pub(crate) struct SendError {
    pub(crate) stage: Stage,
    #[source]
    cause: Box<dyn Error + Send + Sync>,
}

impl SendError {
    pub(crate) fn connecting(cause: Box<dyn Error + Send + Sync>) -> Self {
        Self { stage: Stage::Connecting, cause }
    }

    pub(crate) fn connect_timeout(timeout: Duration) -> Self {
        let text = format!("no connection within {timeout:?}");
        Self::connecting(io::Error::new(io::ErrorKind::TimedOut, text).into())
    }

    pub(crate) fn exchanging(cause: hyper::Error) -> Self {
        Self { stage: Stage::Exchanging, cause: cause.into() }
    }
}
