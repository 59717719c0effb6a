//! The router's settings.

use std::net::SocketAddr;

use broker::BrokerSettings;
use clap::{ArgAction, Parser};
use runtime::startup_notices::StartupNotice;
use runtime::telemetry::LogSettings;
use runtime::traces::TraceSettings;
use store::StoreSettings;

/// Takes events from RabbitMQ, stores each once, and publishes a delivery for every subscribed webhook
#[derive(Debug, Clone, Parser)]
#[command(name = "router", version)]
pub struct Config {
    /// Address of /healthz, /readyz and /metrics
    #[arg(long, env = "POSTRIDER_OPS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9101")]
    pub ops_listen: SocketAddr,
    /// Moves no events into the backlogs of brands and applies no quotas, so that the backlogs become empty before a
    /// version runs that does not know them
    #[arg(long, env = "POSTRIDER_EMPTY_BACKLOGS", value_name = "BOOL", default_value_t = false, action = ArgAction::Set)]
    pub empty_backlogs: bool,
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
        [self.store.startup_notices(), self.broker.startup_notices()].concat()
    }
}
