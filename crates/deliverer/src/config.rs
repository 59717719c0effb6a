//! The deliverer's settings.

use std::net::SocketAddr;
use std::time::Duration;

use broker::BrokerSettings;
use clap::{Args, Parser};
use domain::retry::{LONGEST, RetrySchedule};
use runtime::settings::{duration, duration_within};
use runtime::telemetry::LogSettings;
use store::StoreSettings;
use store::vault::MasterKey;

use crate::client::HttpSettings;

/// Delivers queued events to their endpoints: signed, retried, recorded.
#[derive(Debug, Clone, Parser)]
#[command(name = "deliverer", version)]
pub struct Config {
    /// Address of /healthz, /readyz and /metrics
    #[arg(long, env = "POSTRIDER_OPS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9102")]
    pub ops_listen: SocketAddr,
    /// Opens the webhook secrets: 32 bytes in base64, the same for every api and deliverer
    #[arg(long, env = "POSTRIDER_MASTER_KEY", value_name = "BASE64", hide_env_values = true)]
    pub master_key: MasterKey,
    /// Requests to endpoints.
    #[command(flatten)]
    pub http: HttpSettings,
    /// Retries.
    #[command(flatten)]
    pub retry: RetrySettings,
    /// PostgreSQL.
    #[command(flatten)]
    pub store: StoreSettings,
    /// RabbitMQ.
    #[command(flatten)]
    pub broker: BrokerSettings,
    /// Logs.
    #[command(flatten)]
    pub log: LogSettings,
}

/// When failed deliveries are tried again.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Retries")]
pub struct RetrySettings {
    /// Waits after each failed attempt, separated by commas
    #[arg(
        long,
        env = "POSTRIDER_RETRY_DELAYS",
        value_name = "SPANS",
        default_value = "5s,30s,2m,5m,10m,20m,20m",
        value_parser = delays
    )]
    retry_delays: Delays,
    /// No attempt starts later than this after the first
    #[arg(
        long,
        env = "POSTRIDER_RETRY_WINDOW",
        value_name = "SPAN",
        default_value = "1h",
        value_parser = |text: &str| duration_within(text, LONGEST)
    )]
    retry_window: Duration,
}

/// A list of waits that was read.
#[derive(Debug, Clone)]
struct Delays(Vec<Duration>);

fn delays(text: &str) -> Result<Delays, String> {
    let delays: Vec<Duration> = text.split(',').map(duration).collect::<Result<_, _>>()?;
    // Checked here, so that the error names this setting.
    RetrySchedule::new(delays.clone(), LONGEST).map_err(|error| error.to_string())?;
    Ok(Delays(delays))
}

impl RetrySettings {
    /// The schedule that the settings make.
    #[must_use]
    pub fn schedule(&self) -> RetrySchedule {
        RetrySchedule::new(self.retry_delays.0.clone(), self.retry_window).unwrap_or_else(|error| {
            runtime::settings::refuse(&format!(
                "setting --retry-window (POSTRIDER_RETRY_WINDOW) is not valid: {error}"
            ))
        })
    }
}
