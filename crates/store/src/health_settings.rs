//! When a webhook is disabled, as settings: the deliverer judges by them, the API shows them.

use std::time::Duration;

use clap::Args;
use domain::health::HealthRule;
use domain::retry::LONGEST;
use runtime::settings::duration_within;

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
