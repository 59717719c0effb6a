//! Settings: the connection to PostgreSQL, and the retention of events.

use std::time::Duration;

use clap::Args;

pub use crate::connection::url::DatabaseUrl;
use crate::connection::url::parse_database_url;

/// Bounds the retention. Partitions are daily, and planning becomes slow at about a thousand of them.
pub const MAX_RETENTION: Duration = Duration::from_secs(90 * 24 * 3600);

/// Bounds the retention of the audit. The audit has no partitions, so its size counts.
pub const MAX_AUDIT_RETENTION: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

/// The settings of the database.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "PostgreSQL")]
pub struct StoreSettings {
    /// PostgreSQL connection URL, or host=… user=… as libpq has it; several hosts as h1:5432,h2:5432; over TLS with
    /// ?sslmode=verify-full, and sslrootcert, sslcert and sslkey
    #[arg(
        long,
        env = "DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        default_value = "postgres://postgres@127.0.0.1:5432/postrider",
        value_parser = parse_database_url
    )]
    pub database_url: DatabaseUrl,
    /// Connections that this process opens for its work. The API opens 10 more, for tokens and for itself; a router 6;
    /// a deliverer as many again for recording, and 8
    #[arg(long, env = "POSTRIDER_DATABASE_POOL", value_name = "N", default_value = "8", value_parser = clap::value_parser!(u16).range(2..=200))]
    pub database_pool: u16,
    /// Time for which events stay readable
    #[arg(long, env = "POSTRIDER_RETENTION", value_name = "SPAN", default_value = "7d", value_parser = parse_retention)]
    pub retention: Duration,
    /// Time for which entries of the audit stay readable
    #[arg(long, env = "POSTRIDER_AUDIT_RETENTION", value_name = "SPAN", default_value = "400d", value_parser = parse_audit_retention)]
    pub audit_retention: Duration,
    /// Do not migrate the schema; another process or an operator migrates it
    #[arg(long)]
    pub no_migrate: bool,
}

fn parse_audit_retention(text: &str) -> Result<Duration, String> {
    runtime::settings::parse_duration_within(text, MAX_AUDIT_RETENTION)
}

fn parse_retention(text: &str) -> Result<Duration, String> {
    runtime::settings::parse_duration_within(text, MAX_RETENTION)
}
