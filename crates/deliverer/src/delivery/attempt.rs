//! Makes one attempt: builds the request, sends it, and returns the facts with their times.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use domain::delivery::attempt::{Facts, Outcome};
use domain::ids::AttemptId;
use domain::time::{Timestamp, truncate_to_millis};
use runtime::tasks;
use runtime::traces::{Span, SpanKind, Traces};
use store::clock;
use tokio::time::Instant;

use crate::delivery::client::Client;
use crate::delivery::exchange_trace::{ExchangeTrace, HeaderFacts};
use crate::delivery::{Delivery, exchange, request};
use crate::telemetry;
use crate::webhook_cache::WebhookConfig;

/// Makes attempts.
#[derive(Debug)]
pub(crate) struct Attempter {
    pub(crate) client: Client,
    pub(crate) request_timeout: Duration,
    pub(crate) traces: Traces,
}

/// An attempt that ended.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) id: AttemptId,
    pub(crate) started: Timestamp,
    pub(crate) ended: Timestamp,
    pub(crate) duration: Duration,
    pub(crate) facts: Facts,
    /// The exchange in its stored form.
    pub(crate) exchange: Vec<u8>,
}

impl Attempter {
    /// Makes an attempt of a delivery with the event's data.
    pub(crate) async fn attempt(
        &self,
        delivery: &Delivery<'_>,
        webhook: &WebhookConfig,
        data: Cow<'_, str>,
    ) -> Attempt {
        let id = AttemptId::generate(u64::try_from(clock::now().timestamp_millis()).unwrap_or(0));
        let started = truncate_to_millis(clock::now());
        let began = Instant::now();
        let span = self.open_span(delivery, id);
        let request = request::build_request(webhook, delivery.message, &data, id, started, span.as_ref());
        // The request has a copy. Loaded data is large.
        drop(data);
        let trace = ExchangeTrace::default();
        let facts = self.send(request, &trace).await;
        end_span(span, &facts);
        let exchange = trace.finish(HeaderFacts { event: delivery.key.event, started });
        let attempt = Attempt {
            id,
            started,
            ended: truncate_to_millis(clock::now()),
            duration: began.elapsed(),
            facts,
            exchange: exchange.encode(),
        };
        let progress = &delivery.message.progress;
        telemetry::AttemptEnded {
            attempt: progress.attempt,
            trigger: progress.trigger,
            facts: &attempt.facts,
            seconds: attempt.duration.as_secs_f64(),
        }
        .emit();
        attempt
    }

    async fn send(&self, request: request::Request, trace: &ExchangeTrace) -> Facts {
        let _in_flight = telemetry::count_in_flight();
        let sending = exchange::send_request(&self.client, request, self.request_timeout, trace);
        // A response that causes a panic ends its own attempt, and no other.
        tasks::contain_panic(sending).await.unwrap_or_else(|_| exchange::panic_facts())
    }

    /// Opens the trace span of an attempt, if there is a collector. Its times are of this machine's clock.
    fn open_span(&self, delivery: &Delivery<'_>, attempt: AttemptId) -> Option<Span> {
        let progress = &delivery.message.progress;
        let parent = progress.trace.as_ref().map(ToString::to_string);
        let mut span =
            self.traces.start_span("deliver event", SpanKind::Client, parent, SystemTime::now())?;
        span.set_attribute("postrider.event.id", delivery.key.event.to_string());
        span.set_attribute("postrider.webhook", delivery.webhook.to_string());
        span.set_attribute("postrider.attempt.id", attempt.to_string());
        span.set_attribute("postrider.attempt", i64::from(progress.attempt));
        Some(span)
    }
}

/// Ends the trace span of an attempt with its outcome.
fn end_span(span: Option<Span>, facts: &Facts) {
    let Some(mut span) = span else { return };
    span.set_attribute("postrider.outcome", facts.outcome.as_str());
    if let Some(status) = facts.status_code {
        span.set_attribute("http.response.status_code", i64::from(status));
    }
    if facts.outcome != Outcome::Delivered {
        span.set_error(facts.error.clone().unwrap_or_default());
    }
}
