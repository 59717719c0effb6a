//! The API's settings.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use broker::{BrokerSettings, RetrySettings};
use clap::Parser;
use domain::address::AllowedNetworks;
use runtime::telemetry::LogSettings;
use store::vault::VaultSettings;
use store::{HealthSettings, StoreSettings};

use crate::auth::SupportToken;

/// Largest `--token-rate`, in requests a second.
const MAX_TOKEN_RATE: u32 = 1_000_000;

/// Serves the HTTP API: webhooks and their events for brands, brands and the catalogue for support.
#[derive(Debug, Clone, Parser)]
#[command(name = "subscription-api", version)]
pub struct Config {
    /// Address of the API
    #[arg(long, env = "POSTRIDER_API_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Address of /healthz, /readyz and /metrics
    #[arg(long, env = "POSTRIDER_OPS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9100")]
    pub ops_listen: SocketAddr,
    /// Webhook secrets.
    #[command(flatten)]
    pub keyring: VaultSettings,
    /// Seal all webhook secrets under POSTRIDER_MASTER_KEY that are still sealed under one of
    /// POSTRIDER_OLD_MASTER_KEYS, while everything runs, and exit
    #[arg(long)]
    pub reseal_secrets: bool,
    /// Token of the support team, at least 32 characters; none when empty
    #[arg(
        long,
        env = "POSTRIDER_SUPPORT_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    pub support_token: SupportToken,
    /// Networks that endpoints may be in although they are forbidden: CIDRs joined by commas, for
    /// development only
    #[arg(
        long,
        env = "POSTRIDER_ALLOW_NETWORKS",
        value_name = "CIDRS",
        default_value = "",
        hide_default_value = true
    )]
    pub allow_networks: AllowedNetworks,
    /// Requests a second for each token; bursts of twice as many
    #[arg(long, env = "POSTRIDER_TOKEN_RATE", value_name = "N", default_value = "100", value_parser = token_rate)]
    pub token_rate: NonZeroU32,
    /// The deliverers' rule by which webhooks are disabled: figures are shown beside it.
    #[command(flatten)]
    pub health: HealthSettings,
    /// The deliverers' retries, whose wait queues the overview shows.
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

fn token_rate(text: &str) -> Result<NonZeroU32, String> {
    let rate = text.parse().ok().filter(|rate: &NonZeroU32| rate.get() <= MAX_TOKEN_RATE);
    rate.ok_or_else(|| format!("it is an integer from 1 to {MAX_TOKEN_RATE}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_settings_are_well_formed() {
        Config::command().debug_assert();
    }

    #[test]
    fn the_help_lists_flags_and_variables_and_no_secret() {
        let help = Config::command().render_long_help().to_string();
        for setting in
            ["--master-key", "POSTRIDER_MASTER_KEY", "POSTRIDER_SUPPORT_TOKEN", "DATABASE_URL", "AMQP_URL"]
        {
            assert!(help.contains(setting), "{setting}");
        }
    }

    #[test]
    fn rates_have_bounds() {
        assert_eq!(token_rate("100").map(NonZeroU32::get), Ok(100));
        for bad in ["0", "-1", "1000001", "", "many"] {
            assert!(token_rate(bad).is_err(), "{bad}");
        }
    }
}
