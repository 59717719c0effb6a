//! Traces over OTLP, off unless a collector is named: what is done with an event becomes a span beneath the
//! span of whoever published it.

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

/// Longest wait for the collector.
const EXPORT: Duration = Duration::from_secs(5);
/// Where a collector takes spans, beneath its address.
const PATH: &str = "/v1/traces";

/// Where traces go.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Traces")]
pub struct TraceSettings {
    /// Collector that takes traces over OTLP/HTTP, such as http://localhost:4318; none when empty
    #[arg(
        long,
        env = "OTEL_EXPORTER_OTLP_ENDPOINT",
        value_name = "URL",
        default_value = "",
        hide_default_value = true
    )]
    pub otlp_endpoint: CollectorUrl,
    /// Share of the events without a trace of their producer's that begin one, from 0 to 1
    #[arg(long, env = "POSTRIDER_TRACE_SHARE", value_name = "SHARE", default_value = "0", value_parser = share)]
    pub trace_share: f64,
}

/// The address of a collector, or none.
#[derive(Debug, Clone)]
pub struct CollectorUrl(Option<String>);

impl FromStr for CollectorUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "" => Ok(Self(None)),
            url if url.starts_with("http://") || url.starts_with("https://") => {
                Ok(Self(Some(format!("{}{PATH}", url.trim_end_matches('/')))))
            }
            _ => Err("it begins with http:// or https://".to_owned()),
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "it is a number from 0 to 1".to_owned())
}

/// Begins spans. Cheap to clone; without a collector it begins none.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<Sending>>);

#[derive(Debug)]
struct Sending {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// Something that takes a while. It ends when it is dropped.
#[derive(Debug)]
pub struct Span(opentelemetry_sdk::trace::Span);

impl Traces {
    /// Traces of a service. Called within the runtime; a collector that is away costs spans, nothing else.
    #[must_use]
    pub fn start(settings: &TraceSettings, service: &'static str, version: &'static str) -> Self {
        let Some(endpoint) = settings.otlp_endpoint.0.clone() else { return Self::default() };
        match provider(endpoint, settings.trace_share, service, version) {
            Ok(provider) => {
                let tracer = provider.tracer("postrider");
                Self(Some(Arc::new(Sending { provider, tracer })))
            }
            Err(error) => settings::refuse(&format!(
                "setting --otlp-endpoint (OTEL_EXPORTER_OTLP_ENDPOINT) is not valid: {error}"
            )),
        }
    }

    /// Begins a span that started at `began`, beneath the `traceparent` of whoever is before us. `None` when
    /// it is not to be recorded: then the trace goes on as it came.
    #[must_use]
    pub fn span(
        &self,
        name: &'static str,
        kind: SpanKind,
        parent: Option<String>,
        began: SystemTime,
    ) -> Option<Span> {
        let sending = self.0.as_ref()?;
        let parent = parent.and_then(|text| context_of(&text));
        let parent =
            parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let builder = sending.tracer.span_builder(name).with_kind(kind).with_start_time(began);
        let span = builder.start_with_context(&sending.tracer, &parent);
        span.is_recording().then_some(Span(span))
    }

    /// Sends what was not sent yet.
    pub async fn stop(self) {
        let Some(sending) = self.0 else { return };
        // It blocks, while the requests that it waits for need this runtime.
        let stopping = tokio::task::spawn_blocking(move || sending.provider.shutdown_with_timeout(EXPORT));
        if let Ok(Err(error)) = stopping.await {
            warn!(%error, "the last spans were not sent");
        }
    }
}

impl Span {
    /// What goes to whoever comes next.
    #[must_use]
    pub fn traceparent(&self) -> String {
        let context = self.0.span_context();
        format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8())
    }

    /// Notes something of it.
    pub fn note(&mut self, name: &'static str, value: impl Into<Value>) {
        self.0.set_attribute(KeyValue::new(name, value));
    }

    /// Notes that it failed.
    pub fn fail(&mut self, why: String) {
        self.0.set_status(Status::error(why));
    }
}

/// A `traceparent` whose form was checked where it came in.
fn context_of(text: &str) -> Option<SpanContext> {
    let mut parts = text.split('-').skip(1);
    let trace = TraceId::from_hex(parts.next()?).ok()?;
    let span = SpanId::from_hex(parts.next()?).ok()?;
    let flags = u8::from_str_radix(parts.next()?, 16).ok()?;
    let context = SpanContext::new(trace, span, TraceFlags::new(flags), true, TraceState::NONE);
    context.is_valid().then_some(context)
}

fn provider(
    endpoint: String,
    share: f64,
    service: &'static str,
    version: &'static str,
) -> Result<SdkTracerProvider, String> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpJson)
        .with_endpoint(endpoint)
        .with_timeout(EXPORT)
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
    fn a_collector_is_an_http_address_or_none() {
        let path = |text: &str| text.parse::<CollectorUrl>().map(|url| url.0);
        assert_eq!(path(""), Ok(None));
        assert_eq!(path("http://localhost:4318/"), Ok(Some("http://localhost:4318/v1/traces".to_owned())));
        assert!(path("localhost:4318").is_err());
        assert!(share("1.1").is_err() && share("0.5") == Ok(0.5));
    }

    #[test]
    fn without_a_collector_there_are_no_spans() {
        assert!(Traces::default().span("x", SpanKind::Client, None, SystemTime::now()).is_none());
    }
}
