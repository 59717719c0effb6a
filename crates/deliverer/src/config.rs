//! Defines the settings of the deliverer.

use std::net::SocketAddr;

use broker::BrokerSettings;
use clap::Parser;
use domain::settings::{HealthSettings, RetrySettings};
use runtime::startup_notices::{StartupNotice, warn_allowed_networks};
use runtime::telemetry::LogSettings;
use runtime::traces::TraceSettings;
use store::StoreSettings;
use store::secrets::keyring::KeyringSettings;

use crate::delivery::client::HttpSettings;

/// Delivers queued events to their endpoints: signed, retried, recorded.
#[derive(Debug, Clone, Parser)]
#[command(name = "deliverer", version)]
pub struct Config {
    /// Address of /healthz, /readyz and /metrics
    #[arg(long, env = "POSTRIDER_OPS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9102")]
    pub ops_listen: SocketAddr,
    /// Webhook secrets.
    #[command(flatten)]
    pub keyring: KeyringSettings,
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
    /// Traces.
    #[command(flatten)]
    pub traces: TraceSettings,
    /// Logs.
    #[command(flatten)]
    pub log: LogSettings,
}

impl Config {
    /// Returns what an operator should know about these settings.
    pub(crate) fn startup_notices(&self) -> Vec<StartupNotice> {
        let mut notices = [self.store.startup_notices(), self.broker.startup_notices()].concat();
        notices.extend(warn_allowed_networks(!self.http.allow_networks.is_empty()));
        if !self.http.extra_ca_file.is_empty() {
            let text = "POSTRIDER_EXTRA_CA_FILE: endpoints may have certificates of further authorities";
            notices.push(StartupNotice::Note(text.to_owned()));
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Config::command().debug_assert();
    }

    #[test]
    fn the_help_and_the_contract_tell_the_further_connections() {
        let control = store::pool::CONTROL_CONNECTIONS;
        let further = control + store::pool::LEASE_CONNECTIONS;
        let help = Config::command().render_long_help().to_string();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        let told = format!("a router {control}; a deliverer as many again for recording, and {further}");
        assert!(help.contains(&told), "{help}");
        let told = format!("a router {control}, a deliverer as many again and {further}");
        assert!(include_str!("../../docs/contract.md").contains(&told));
    }

    #[test]
    fn every_setting_but_the_master_key_has_a_default() {
        let config = Config::try_parse_from([
            "deliverer",
            "--master-key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ])
        .expect("the defaults");
        assert_eq!(config.http.connect_timeout, Duration::from_secs(5));
        assert_eq!(config.http.request_timeout, Duration::from_secs(15));
        assert!(!config.http.http2);
        assert_eq!(config.ops_listen.port(), 9102);
        assert_eq!(config.retry.schedule(), domain::delivery::retry::RetrySchedule::default());
    }

    #[test]
    fn settings_for_development_are_warned_about() {
        let notices = |args: &[&str]| {
            let key = "--master-key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            let own = ["deliverer", key, "--amqp-url=amqp://us:x@127.0.0.1/%2f"];
            Config::try_parse_from([&own[..], args].concat()).expect("settings").startup_notices()
        };
        assert_eq!(notices(&[]), []);
        let networks = notices(&["--allow-networks=127.0.0.0/8"]);
        assert!(
            matches!(&networks[..], [StartupNotice::Warning(text)] if text.contains("POSTRIDER_ALLOW_NETWORKS"))
        );
        let roots = notices(&["--extra-ca-file=/some/roots.pem"]);
        assert!(
            matches!(&roots[..], [StartupNotice::Note(text)] if text.contains("POSTRIDER_EXTRA_CA_FILE"))
        );
    }

    #[test]
    fn a_setting_that_is_not_valid_is_refused_by_name() {
        let refused = |argument: &str| {
            let parsed = Config::try_parse_from(["deliverer", argument]);
            parsed.err().map_or_else(String::new, |error| error.to_string())
        };
        assert!(refused("--request-timeout=6m").contains("--request-timeout"));
        assert!(refused("--allow-networks=10.0.0.0/99").contains("--allow-networks"));
    }
}
