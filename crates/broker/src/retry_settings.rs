//! When failed deliveries are tried again: what the wait queues are made from.

use std::time::Duration;

use clap::Args;
use domain::retry::{LONGEST, RetrySchedule};
use runtime::settings::{duration, duration_within};

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
