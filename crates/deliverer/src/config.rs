//! The deliverer's settings.

use std::net::SocketAddr;
use std::time::Duration;

use broker::BrokerSettings;
use clap::{Args, Parser};
use domain::health::HealthRule;
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
    /// Health of webhooks.
    #[command(flatten)]
    pub health: HealthSettings,
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

/// When a webhook is disabled by the platform.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Health of webhooks")]
pub struct HealthSettings {
    /// Attempts are judged over this long
    #[arg(
        long,
        env = "POSTRIDER_HEALTH_WINDOW",
        value_name = "SPAN",
        default_value = "1h",
        value_parser = |text: &str| duration_within(text, LONGEST)
    )]
    health_window: Duration,
    /// With fewer attempts than this in the window no webhook is failing
    #[arg(long, env = "POSTRIDER_HEALTH_MIN_ATTEMPTS", value_name = "N", default_value = "50", value_parser = clap::value_parser!(u64).range(1..))]
    health_min_attempts: u64,
    /// Share of failed attempts, above 0 and up to 1, from which a webhook is failing
    #[arg(long, env = "POSTRIDER_HEALTH_FAILURE_RATE", value_name = "SHARE", default_value = "0.9", value_parser = share)]
    health_failure_rate: f64,
    /// Failed deliveries in a row from which a webhook is unresponsive
    #[arg(long, env = "POSTRIDER_HEALTH_FAILED_DELIVERIES", value_name = "N", default_value = "10", value_parser = clap::value_parser!(u64).range(1..))]
    health_failed_deliveries: u64,
}

fn share(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("it is a number above 0 and up to 1, such as 0.9".to_owned()),
    }
}

impl HealthSettings {
    /// The rule that the settings make.
    #[must_use]
    pub fn rule(&self) -> HealthRule {
        HealthRule {
            window: self.health_window,
            min_attempts: self.health_min_attempts,
            failure_rate: self.health_failure_rate,
            failed_deliveries: self.health_failed_deliveries,
        }
    }
}
