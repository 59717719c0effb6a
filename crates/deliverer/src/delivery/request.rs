//! The signed request of an attempt.

use broker::wire::DeliveryMessage;
use domain::ids::{AttemptId, WebhookId};
use domain::request;
use domain::time::Timestamp;
use runtime::traces::Span;

use crate::delivery::exchange::{self, Request};
use crate::webhook_cache::Target;

/// An attempt of a delivery to a webhook.
pub(crate) struct Signed<'a> {
    pub(crate) target: &'a Target,
    pub(crate) webhook: WebhookId,
    pub(crate) attempt: AttemptId,
    /// When it starts, which is signed.
    pub(crate) at: Timestamp,
}

impl Signed<'_> {
    /// Builds the request. Its trace is the span's, or else the producer's.
    pub(crate) fn request(&self, message: &DeliveryMessage, span: Option<&Span>) -> Request {
        let body = request::body(&message.head, self.webhook, self.attempt, &message.data);
        let id = message.head.id.to_string();
        let mut headers = self.target.headers.clone();
        let signature = self.target.sign(&id, self.at, &body);
        exchange::platform_headers(&mut headers, &id, self.at.timestamp(), &signature);
        let trace = span.map(Span::traceparent);
        let trace = trace.or_else(|| message.progress.trace.as_ref().map(ToString::to_string));
        exchange::trace_header(&mut headers, trace);
        Request { url: self.target.endpoint.url().clone(), headers, body }
    }
}
