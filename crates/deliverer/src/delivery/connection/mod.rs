//! Connections to endpoints: how they are opened, used, and kept for later requests.
//!
//! A server may close a kept connection at any time, also just when the next request is on its way. Such a request fails
//! although the endpoint is well, or gets the 408 that a proxy wrote for a request that it never read. [`HttpClient`] sends
//! it once more on a new connection, within the same attempt (ADR 0054). It must not do so once the endpoint has begun to
//! respond, so that it has to know which connections were used before and whether anything arrived on them:
//!
//! - [`pool`] keeps unused connections, and [`connector`] opens new ones;
//! - [`round_trip`] sends one request over one connection;
//! - [`observed_stream`] notes the bytes that arrive;
//! - [`response_head`] keeps the header lines, and reads the status where the HTTP library refuses the head;
//! - [`certificate`] says in words why TLS failed.

mod certificate;
mod connector;
mod error;
mod observed_stream;
mod pool;
mod response_head;
mod round_trip;

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

pub(crate) use self::certificate::{ExplainingVerifier, tls_error_text};
pub(crate) use self::connector::{Connector, Destination};
pub(crate) use self::error::{SendError, Stage};
pub(crate) use self::observed_stream::FirstByte;
use self::pool::Pool;
pub(crate) use self::round_trip::Answer;
use self::round_trip::{KeptConnection, Open, RoundTrip};
use crate::delivery::exchange_trace::ExchangeTrace;
use crate::telemetry;

/// Sends requests over kept and new connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpClient {
    pool: Pool,
    connector: Arc<Connector>,
}

impl HttpClient {
    /// Creates a client without connections.
    pub(crate) fn new(connector: Connector) -> Self {
        Self { pool: Pool::start(), connector: Arc::new(connector) }
    }

    /// Sends a request, and once more if a connection that was used before died with it.
    ///
    /// # Errors
    /// When no connection can be opened, or the request is not answered.
    pub(crate) async fn send(
        &self,
        to: &Destination,
        request: Request<Full<Bytes>>,
        trace: &ExchangeTrace,
    ) -> Result<Answer, SendError> {
        if let Some(kept) = self.pool.take(&to.host) {
            let RoundTrip { result, is_probably_unread } =
                self.make_round_trip(kept, to, request.clone(), trace, true).await;
            if !is_probably_unread {
                return result;
            }
            telemetry::record_second_try();
        }
        // Not another kept connection, because the same server may have closed it as well.
        let opened = self.connector.connect(to, trace).await?;
        self.make_round_trip(opened, to, request, trace, false).await.result
    }

    async fn make_round_trip(
        &self,
        open: Open,
        to: &Destination,
        request: Request<Full<Bytes>>,
        trace: &ExchangeTrace,
        is_reused: bool,
    ) -> RoundTrip {
        if let Open::Http2(shared) = &open {
            // Other requests share it from now on.
            self.pool.keep(&to.host, Open::Http2(shared.clone()));
        }
        let kept = KeptConnection { pool: self.pool.clone(), host: Arc::clone(&to.host) };
        round_trip::make_round_trip(open, request, kept, trace, is_reused).await
    }
}
