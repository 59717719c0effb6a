//! Traces over OTLP.
//!
//! The work on an event becomes a span whose parent is the span of the event's producer. Traces are off unless the
//! settings name a collector.

mod collector;

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Args;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, Status, TraceContextExt, TraceFlags, TraceId, TraceState, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tracing::warn;

use self::collector::Collector;
use crate::settings;

pub use opentelemetry::trace::SpanKind;

/// Maximum duration of a request to the collector.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Path of the collector that accepts spans.
const TRACES_PATH: &str = "/v1/traces";

/// The settings of traces.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Traces")]
pub struct TraceSettings {
    /// Address of a collector for OTLP/HTTP, such as http://localhost:4318; empty for no traces
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "URL",
        default_value = "",
        hide_default_value = true
    )]
    pub otlp_endpoint: CollectorUrl,
    /// Share of the events without a producer's trace for which a trace begins, from 0 to 1
    #[arg(long, env = "POSTRIDER_TRACE_SHARE", value_name = "SHARE", default_value = "0", value_parser = parse_share)]
    pub trace_share: f64,
}

/// The address of a collector, if there is one.
#[derive(Debug, Clone)]
pub struct CollectorUrl(Option<String>);

impl FromStr for CollectorUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(Self(None)),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(Self(Some(format!("{}{TRACES_PATH}", url.trim_end_matches('/')))))
            }
            _ => Err("it begins with http:// or https://".to_owned()),
        }
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "it is a number from 0 to 1".to_owned())
}

/// The source of spans, cheap to clone; without a collector it starts none.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Exporter>>);

#[derive(Debug)]
struct Exporter {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// A span, which ends when it is dropped.
#[derive(Debug)]
pub struct Span(opentelemetry_sdk::trace::Span);

impl Traces {
    /// Starts the traces of a service, within the tokio runtime.
    ///
    /// If the collector is away, only spans are lost.
    #[must_use]
    pub fn start(settings: &TraceSettings, service: &'static str, version: &'static str) -> Self {
        let Some(endpoint) = settings.otlp_endpoint.0.clone() else { return Self::default() };
        match build_provider(endpoint, settings.trace_share, service, version) {
            Ok(provider) => {
                let tracer = provider.tracer("postrider");
                Self(Some(Arc::new(Exporter { provider, tracer })))
            }
            Err(error) => settings::refuse(&format!(
                "setting --otlp-endpoint (OTEL_EXPORTER_OTLP_ENDPOINT) is not valid: {error}"
            )),
        }
    }

    /// Starts a span at the time `began`, as a child of the `traceparent` of the previous service.
    ///
    /// Returns `None` if the span is not recorded; the caller then passes the `traceparent` on unchanged.
    #[must_use]
    pub fn start_span(
        &self,
        name: &'static str,
        kind: SpanKind,
        parent: Option<String>,
        began: SystemTime,
    ) -> Option<Span> {
        let exporter = self.0.as_ref()?;
        let parent = parent.and_then(|text| parse_traceparent(&text));
        let parent =
            parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let builder = exporter.tracer.span_builder(name).with_kind(kind).with_start_time(began);
        let span = builder.start_with_context(&exporter.tracer, &parent);
        span.is_recording().then_some(Span(span))
    }

    /// Sends the remaining spans and stops.
    pub async fn stop(self) {
        let Some(exporter) = self.0 else { return };
        // The shutdown blocks its thread until requests that run on this runtime are done, so it needs its own thread.
        let stopping =
            tokio::task::spawn_blocking(move || exporter.provider.shutdown_with_timeout(EXPORT_TIMEOUT));
        if let Ok(Err(error)) = stopping.await {
            warn!(%error, "could not send the last spans");
        }
    }
}

impl Span {
    /// Returns the `traceparent` for the next service.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let context = self.0.span_context();
        format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
    }

    /// Sets an attribute.
    pub fn set_attribute(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.set_attribute(KeyValue::new(name, value));
    }

    /// Marks the span as failed.
    pub fn set_error(&mut self, why: String) {
        self.0.set_status(Status::error(why));
    }
}

/// Parses a `traceparent` whose form was checked when the message was received.
fn parse_traceparent(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    let context = SpanContext::new(trace, span, TraceFlags::new(flags), true, TraceState::NONE);
    context.is_valid().then_some(context)
}

fn build_provider(
    endpoint: String,
    share: f64,
    service: &'static str,
    version: &'static str,
) -> Result<SdkTracerProvider, String> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpJson)
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .with_http_client(Collector::new()?)
        .build()
        .map_err(|error| error.to_string())?;
    let resource = Resource::builder_empty()
        .with_attributes([KeyValue::new("service.name", service), KeyValue::new("service.version", version)])
        .build();
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(share)));
    let builder = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource);
    Ok(builder.with_sampler(sampler).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_an_http_address_or_empty() {
        let path = |text: &str| text.parse::<CollectorUrl>().map(|url| url.0);
        assert_eq!(path(""), Ok(None));
        assert_eq!(path("http://localhost:4318/"), Ok(Some("http://localhost:4318/v1/traces".to_owned())));
        assert!(path("localhost:4318").is_err());
        assert!(parse_share("1.1").is_err() && parse_share("0.5") == Ok(0.5));
    }

    #[test]
    fn without_a_collector_there_are_no_spans() {
        assert!(Traces::default().start_span("x", SpanKind::Client, None, SystemTime::now()).is_none());
    }
}
