//! The log on standard error, as text or JSON, and the recorder of metrics.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
/// The handle that renders the metrics of the process.
pub use metrics_exporter_prometheus::PrometheusHandle;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use tracing_subscriber::EnvFilter;

use crate::settings;

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text for people.
    Text,
    /// One JSON object on each line.
    Json,
}

/// The settings of the log.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogSettings {
    /// Log level, or directives such as info,router=debug
    #[arg(long = "log", env = "RUST_LOG", default_value = "info", value_name = "FILTER")]
    filter: String,
    /// Format of the log lines
    #[arg(long = "log-format", env = "POSTRIDER_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    format: LogFormat,
}

/// Upper bounds of the buckets of every duration metric, in seconds.
const DURATION_BUCKETS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 60.0, 600.0, 3600.0,
];
/// Upper bounds of the buckets of every batch size metric.
const SIZE_BUCKETS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];

/// Starts the log and returns the handle that renders the metrics.
///
/// `main` calls it once, before anything else.
#[must_use]
pub fn start_telemetry(settings: &LogSettings) -> PrometheusHandle {
    let filter = match EnvFilter::try_new(if settings.filter.is_empty() { "info" } else { &settings.filter })
    {
        Ok(filter) => filter,
        Err(error) => settings::refuse(&format!("setting --log (RUST_LOG) is not valid: {error}")),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
    install_recorder()
}

fn install_recorder() -> PrometheusHandle {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), DURATION_BUCKETS)
        .and_then(|b| b.set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), SIZE_BUCKETS))
        .expect("the bucket lists are not empty")
        .build_recorder();
    let handle = recorder.handle();
    // The call fails only if the process has a recorder already. Tests share the first one.
    let _ = metrics::set_global_recorder(recorder);
    handle
}
