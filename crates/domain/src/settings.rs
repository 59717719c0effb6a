//! Command-line settings of the retry schedule and of the health rule (feature `clap`).
//!
//! The deliverer applies these rules and the API shows them, so both have the same settings. A value that violates a
//! rule is rejected while the arguments are parsed, and the error names the setting.

use std::time::Duration;

use clap::Args;

use crate::delivery::retry::{InvalidSchedule, MAX_RETRY_WINDOW, MIN_RETRY_DELAY, RetrySchedule};
use crate::webhook::health::{HealthRule, MAX_HEALTH_WINDOW};

/// The retry schedule of failed deliveries.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Retries")]
pub struct RetrySettings {
    /// Delays after each failed attempt, separated by commas
    #[arg(
        long,
        env = "POSTRIDER_RETRY_DELAYS",
        value_name = "SPANS",
        default_value = "5s,30s,2m,5m,10m,20m,20m",
        value_parser = parse_delays
    )]
    retry_delays: Delays,
    /// No attempt starts later than this after the first
    #[arg(
        long,
        env = "POSTRIDER_RETRY_WINDOW",
        value_name = "SPAN",
        default_value = "1h",
        value_parser = parse_retry_window
    )]
    retry_window: Duration,
}

/// The parsed delays, as one value, because clap would treat a `Vec` as a repeated argument.
#[derive(Debug, Clone)]
struct Delays(Vec<Duration>);

impl RetrySettings {
    /// Returns the schedule of these settings.
    #[must_use]
    pub fn schedule(&self) -> RetrySchedule {
        RetrySchedule::new(self.retry_delays.0.clone(), self.retry_window)
            .expect("the delays and the window were checked when they were parsed")
    }
}

/// The rule that disables unhealthy webhooks.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Health of webhooks")]
pub struct HealthSettings {
    /// Length of the window in which attempts are counted
    #[arg(
        long,
        env = "POSTRIDER_HEALTH_WINDOW",
        value_name = "SPAN",
        default_value = "1h",
        value_parser = |text: &str| parse_duration_within(text, MAX_HEALTH_WINDOW)
    )]
    health_window: Duration,
    /// Minimum number of attempts in the window before a webhook can be failing
    #[arg(long, env = "POSTRIDER_HEALTH_MIN_ATTEMPTS", value_name = "N", default_value = "50", value_parser = clap::value_parser!(u64).range(1..))]
    health_min_attempts: u64,
    /// Share of failed attempts, above 0 and up to 1, from which a webhook is failing
    #[arg(long, env = "POSTRIDER_HEALTH_FAILURE_RATE", value_name = "SHARE", default_value = "0.9", value_parser = parse_share)]
    health_failure_rate: f64,
    /// Number of consecutive failed deliveries from which a webhook is unresponsive
    #[arg(long, env = "POSTRIDER_HEALTH_FAILED_DELIVERIES", value_name = "N", default_value = "10", value_parser = clap::value_parser!(u64).range(1..))]
    health_failed_deliveries: u64,
}

impl HealthSettings {
    /// Returns the rule of these settings.
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

fn parse_delays(text: &str) -> Result<Delays, String> {
    let delays: Vec<Duration> = text.split(',').map(parse_duration).collect::<Result<_, _>>()?;
    // The window has its own setting, so the delays are checked with the longest one.
    RetrySchedule::new(delays.clone(), MAX_RETRY_WINDOW).map_err(|error| error.to_string())?;
    Ok(Delays(delays))
}

fn parse_retry_window(text: &str) -> Result<Duration, String> {
    let window = parse_duration_within(text, MAX_RETRY_WINDOW)?;
    if window < MIN_RETRY_DELAY {
        return Err(InvalidSchedule::Window.to_string());
    }
    Ok(window)
}

fn parse_share(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(share) if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err("it is a number above 0 and up to 1, such as 0.9".to_owned()),
    }
}

/// Parses a duration such as `5s`.
///
/// The error texts are those of `runtime::settings`, which this crate may not import.
fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text.trim()).map_err(|error| format!("{error}; write it like 5s, 2m, 1h or 7d"))
}

fn parse_duration_within(text: &str, max: Duration) -> Result<Duration, String> {
    match parse_duration(text)? {
        duration if duration.is_zero() => Err("it must be longer than nothing".to_owned()),
        duration if duration > max => Err(format!("it must be at most {}", humantime::format_duration(max))),
        duration => Ok(duration),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Sample {
        #[command(flatten)]
        retry: RetrySettings,
        #[command(flatten)]
        health: HealthSettings,
    }

    fn parse(args: &[&str]) -> Result<Sample, clap::Error> {
        Sample::try_parse_from(std::iter::once(&"service").chain(args))
    }

    fn cause(args: &[&str]) -> String {
        let error = parse(args).expect_err("rejected");
        std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default()
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let settings = parse(&[]).expect("valid");
        assert_eq!(settings.retry.schedule(), RetrySchedule::default());
        assert_eq!(settings.health.rule(), HealthRule::default());
    }

    #[test]
    fn every_accepted_window_makes_a_schedule() {
        for window in ["10ms", "24h"] {
            let settings = parse(&["--retry-window", window, "--retry-delays", "10ms, 24h"]).expect(window);
            let _ = settings.retry.schedule();
        }
    }

    #[test]
    fn invalid_values_are_rejected_with_a_reason() {
        assert_eq!(cause(&["--retry-window", "9ms"]), "the retry window must lie between 10ms and 24h");
        assert_eq!(cause(&["--retry-window", "0s"]), "it must be longer than nothing");
        assert_eq!(cause(&["--retry-window", "25h"]), "it must be at most 1day");
        assert_eq!(cause(&["--retry-delays", "1ms"]), "each delay must lie between 10ms and 24h");
        assert!(cause(&["--retry-delays", "5s,,1m"]).ends_with("; write it like 5s, 2m, 1h or 7d"));
        let share = "it is a number above 0 and up to 1, such as 0.9";
        assert_eq!(cause(&["--health-failure-rate", "0"]), share);
        assert_eq!(cause(&["--health-failure-rate", "1.1"]), share);
        assert_eq!(cause(&["--health-window", "25h"]), "it must be at most 1day");
    }
}
