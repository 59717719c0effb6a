//! What an operator should know about the settings of a process: a line each in its log at the start.
//!
//! The functions decide and return the notices; [`log_notices`] writes them. No notice repeats a secret.

use std::net::IpAddr;

use tracing::{info, warn};

/// A line about the settings of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartupNotice {
    /// The setting suits development, or exposes the installation.
    Warning(String),
    /// The setting is unusual.
    Note(String),
}

/// Writes the notices to the log.
pub fn log_notices(notices: &[StartupNotice]) {
    for notice in notices {
        match notice {
            StartupNotice::Warning(text) => warn!("{text}"),
            StartupNotice::Note(text) => info!("{text}"),
        }
    }
}

/// Returns whether connections to a host stay on this machine.
#[must_use]
pub fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Warns about hosts on other machines that a setting connects to without TLS.
#[must_use]
pub fn warn_plain_text<'a>(
    setting: &str,
    server: &str,
    remedy: &str,
    hosts: impl IntoIterator<Item = &'a str>,
) -> Option<StartupNotice> {
    let others: Vec<&str> = hosts.into_iter().filter(|host| !is_this_machine(host)).collect();
    (!others.is_empty()).then(|| {
        let hosts = others.join(", ");
        StartupNotice::Warning(format!(
            "{setting}: passwords and events travel to {server} on another machine ({hosts}) in plain text; {remedy}"
        ))
    })
}

/// Warns that requests may go to private networks.
#[must_use]
pub fn warn_allowed_networks(allows_any: bool) -> Option<StartupNotice> {
    let text =
        "POSTRIDER_ALLOW_NETWORKS: endpoints in private networks are allowed; set it for development only";
    allows_any.then(|| StartupNotice::Warning(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machine_in_every_spelling() {
        for host in ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "::ffff:127.0.0.1", "localhost", "LOCALHOST"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["10.0.0.1", "0.0.0.0", "rabbitmq", "localhost.example", "::2", ""] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn only_hosts_on_other_machines_are_named() {
        let warn = |hosts: &[&str]| warn_plain_text("X", "a server", "use TLS", hosts.iter().copied());
        assert_eq!(warn(&["127.0.0.1", "localhost"]), None);
        let Some(StartupNotice::Warning(text)) = warn(&["127.0.0.1", "db1", "db2"]) else {
            panic!("no warning")
        };
        assert!(
            text.contains("(db1, db2)") && text.starts_with("X: ") && text.ends_with("use TLS"),
            "{text}"
        );
    }
}
