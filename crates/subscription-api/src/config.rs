//! The settings of the API.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use broker::BrokerSettings;
use clap::Parser;
use domain::settings::{HealthSettings, RetrySettings};
use domain::webhook::address::AllowedNetworks;
use runtime::http_server::TrustedProxies;
use runtime::names::NameSettings;
use runtime::startup_notices::{StartupNotice, warn_allowed_networks};
use runtime::telemetry::LogSettings;
use store::StoreSettings;
use store::secrets::keyring::KeyringSettings;

use crate::auth::token::SupportToken;

/// Largest `--token-rate`, in requests a second.
const MAX_TOKEN_RATE: u32 = 1_000_000;

/// Serves the HTTP API: webhooks and their events for brands; brands and the catalogue for support
#[derive(Debug, Clone, Parser)]
#[command(name = "subscription-api", version)]
pub struct Config {
    /// Address of the API
    #[arg(long, env = "POSTRIDER_API_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Address of /healthz, /readyz and /metrics
    #[arg(long, env = "POSTRIDER_OPS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9100")]
    pub(crate) ops_listen: SocketAddr,
    /// Encryption of webhook secrets.
    #[command(flatten)]
    pub(crate) keyring: KeyringSettings,
    /// Re-encrypt with POSTRIDER_MASTER_KEY all webhook secrets that are still encrypted with one of
    /// POSTRIDER_OLD_MASTER_KEYS, then exit; the services may keep running meanwhile
    #[arg(long = "reseal-secrets")]
    pub(crate) reencrypt_secrets: bool,
    /// Token of the support team, at least 32 characters; empty for none
    #[arg(
        long,
        env = "POSTRIDER_SUPPORT_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) support_token: SupportToken,
    /// Forbidden networks that endpoints may use nevertheless, as CIDRs joined by commas; only for
    /// development
    #[arg(
        long,
        env = "POSTRIDER_ALLOW_NETWORKS",
        value_name = "CIDRS",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) allow_networks: AllowedNetworks,
    /// Reverse proxies whose X-Forwarded-For or Forwarded names the client, as CIDRs joined by commas; their own
    /// connections are then not bounded like those of one client
    #[arg(
        long,
        env = "POSTRIDER_TRUSTED_PROXIES",
        value_name = "CIDRS",
        default_value = "",
        hide_default_value = true
    )]
    pub(crate) trusted_proxies: TrustedProxies,
    /// Names of endpoints.
    #[command(flatten)]
    pub(crate) names: NameSettings,
    /// Requests a second that each token may send, in bursts of up to twice the rate; expensive requests count
    /// several times
    #[arg(long, env = "POSTRIDER_TOKEN_RATE", value_name = "N", default_value = "100", value_parser = parse_token_rate)]
    pub(crate) token_rate: NonZeroU32,
    /// The rule by which the deliverers disable webhooks; the API shows it beside the health of a webhook.
    #[command(flatten)]
    pub(crate) health: HealthSettings,
    /// The retry schedule of the deliverers; the overview shows the delay queues.
    #[command(flatten)]
    pub(crate) retry: RetrySettings,
    /// PostgreSQL.
    #[command(flatten)]
    pub(crate) store: StoreSettings,
    /// RabbitMQ.
    #[command(flatten)]
    pub(crate) broker: BrokerSettings,
    /// Logs.
    #[command(flatten)]
    pub log: LogSettings,
}

impl Config {
    /// Returns what an operator should know about these settings.
    pub(crate) fn startup_notices(&self) -> Vec<StartupNotice> {
        let mut notices = [self.store.startup_notices(), self.broker.startup_notices()].concat();
        notices.extend(warn_allowed_networks(!self.allow_networks.is_empty()));
        if !self.listen.ip().to_canonical().is_loopback() && self.trusted_proxies == TrustedProxies::default()
        {
            notices.push(StartupNotice::Warning(format!(
                "POSTRIDER_API_LISTEN: other machines reach {} in plain HTTP; put a proxy with TLS before it and name \
                 the proxy in POSTRIDER_TRUSTED_PROXIES",
                self.listen
            )));
        }
        notices
    }
}

fn parse_token_rate(text: &str) -> Result<NonZeroU32, String> {
    let rate = text.parse().ok().filter(|rate: &NonZeroU32| rate.get() <= MAX_TOKEN_RATE);
    rate.ok_or_else(|| format!("it is an integer from 1 to {MAX_TOKEN_RATE}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_settings_are_consistent() {
        Config::command().debug_assert();
    }

    #[test]
    fn the_help_lists_flags_and_variables() {
        let help = Config::command().render_long_help().to_string();
        for setting in
            ["--master-key", "POSTRIDER_MASTER_KEY", "POSTRIDER_SUPPORT_TOKEN", "DATABASE_URL", "AMQP_URL"]
        {
            assert!(help.contains(setting), "{setting}");
        }
    }

    #[test]
    fn the_help_and_the_contract_tell_the_further_connections() {
        let further = store::pool::CONTROL_CONNECTIONS + crate::auth::token_directory::CONNECTIONS;
        let help = Config::command().render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(&format!("The API opens {further} more")), "{help}");
        assert!(include_str!("../../docs/contract.md").contains(&format!("the API opens {further} more")));
    }

    #[test]
    fn settings_for_development_and_a_listener_without_a_proxy_are_warned_about() {
        let notices = |args: &[&str]| {
            let key = "--master-key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            let own = ["subscription-api", key, "--amqp-url=amqp://us:x@127.0.0.1/%2f"];
            let config = Config::try_parse_from([&own[..], args].concat()).expect("settings");
            config.startup_notices()
        };
        assert_eq!(notices(&[]), []);
        assert_eq!(notices(&["--allow-networks=127.0.0.0/8"]).len(), 1);
        assert_eq!(notices(&["--listen=0.0.0.0:8080"]).len(), 1);
        assert_eq!(notices(&["--listen=[::1]:8080"]), []);
        assert_eq!(notices(&["--listen=0.0.0.0:8080", "--trusted-proxies=10.0.0.0/8"]), []);
        assert_eq!(notices(&["--database-url=postgres://postgres@db.example/x"]).len(), 1);
    }

    #[test]
    fn the_token_rate_has_bounds() {
        assert_eq!(parse_token_rate("100").map(NonZeroU32::get), Ok(100));
        for bad in ["0", "-1", "1000001", "", "many"] {
            assert!(parse_token_rate(bad).is_err(), "{bad}");
        }
    }
}
