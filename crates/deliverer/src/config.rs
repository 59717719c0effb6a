//! The deliverer's settings.

use std::net::SocketAddr;

use broker::{BrokerSettings, RetrySettings};
use clap::Parser;
use runtime::telemetry::LogSettings;
use runtime::traces::TraceSettings;
use store::vault::VaultSettings;
use store::{HealthSettings, StoreSettings};

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
    pub vault: VaultSettings,
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
