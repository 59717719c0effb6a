//! What an operator should know about the connection to PostgreSQL.

use runtime::startup_notices::{StartupNotice, warn_plain_text};
use tokio_postgres::config::SslMode;

use crate::connection::hosts::Place;
use crate::settings::StoreSettings;

impl StoreSettings {
    /// Returns the notices about these settings.
    #[must_use]
    pub fn startup_notices(&self) -> Vec<StartupNotice> {
        if self.database_url.config.get_ssl_mode() == SslMode::Require {
            return Vec::new();
        }
        let hosts = self.database_url.hosts.in_order().filter_map(|(_, host)| match &host.place {
            Place::Tcp { address: Some(address), .. } => Some(address.to_string()),
            Place::Tcp { name, address: None } => Some(name.clone()),
            // A socket on this machine.
            Place::Unix(_) => None,
        });
        let hosts: Vec<String> = hosts.collect();
        let remedy = "use sslmode=verify-full";
        let hosts = hosts.iter().map(String::as_str);
        warn_plain_text("DATABASE_URL", "PostgreSQL", remedy, hosts).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Settings {
        #[command(flatten)]
        store: StoreSettings,
    }

    fn notices(url: &str) -> usize {
        let settings = Settings::try_parse_from(["test", "--database-url", url]).expect("settings");
        settings.store.startup_notices().len()
    }

    #[test]
    fn plain_text_to_another_machine_is_warned_about() {
        assert_eq!(notices("postgres://postgres@127.0.0.1:5432/postrider"), 0);
        assert_eq!(notices("postgres://postgres@db.example/postrider?sslmode=verify-full"), 0);
        assert_eq!(notices("postgres://postgres@db.example/postrider?sslmode=require"), 0);
        assert_eq!(notices("postgres://postgres@db.example/postrider"), 1);
        assert_eq!(notices("user=postgres host=localhost hostaddr=10.0.0.5"), 1);
        assert_eq!(notices("user=postgres host=db.example hostaddr=127.0.0.1"), 0);
        assert_eq!(notices("postgres://postgres@db.example/postrider?sslmode=prefer"), 1);
    }
}
