//! Reads the parameters of `DATABASE_URL`, and refuses those that it does not know.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslNegotiation};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::connection::hosts::{Host, Hosts, Place};
use crate::connection::session::WriteCheck;
use crate::connection::text::{self, Parameter};
use crate::connection::tls::TlsSettings;

/// The default port of PostgreSQL.
const DEFAULT_PORT: u16 = 5432;
/// Bounds an unacknowledged packet, as long as the wait for an answer.
const TCP_USER_TIMEOUT: Duration = crate::pool::ANSWER_TIMEOUT;
/// Idle time after which a connection is probed.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
/// Time between two probes of an idle connection.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// Probes without an answer that end a connection.
const KEEPALIVE_RETRIES: u32 = 2;
/// Bounds `connect_timeout`, because a statement waits for its connection.
const MAX_CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A parsed `DATABASE_URL`. Its `Debug` does not show the password. Clones share their memory of the host that answers.
#[derive(Clone)]
pub struct DatabaseUrl {
    /// The settings without the hosts.
    pub(crate) config: Config,
    /// The TLS connector, unless the URL disables TLS.
    pub(crate) tls: Option<MakeRustlsConnect>,
    /// The hosts, tried in turn.
    pub(crate) hosts: Arc<Hosts>,
    /// The check of a new connection.
    pub(crate) write_check: WriteCheck,
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseUrl")
            .field("hosts", &self.hosts)
            .field("dbname", &self.config.get_dbname())
            .finish_non_exhaustive()
    }
}

/// Parses a connection URL, or `key=value` pairs, as libpq has them.
///
/// # Errors
/// When the text is malformed, names no host, or contains a parameter that is unknown or contradicts another. The error
/// says what to do, and contains no value.
pub(crate) fn parse_database_url(text: &str) -> Result<DatabaseUrl, String> {
    let mut parameters = Parameters::new(text::split_parameters(text)?)?;
    let mut tls = TlsSettings::take(&mut parameters)?;
    let mut config = Config::new();
    set_account(&mut config, &mut parameters)?;
    set_keepalives(&mut config, &mut parameters)?;
    let connect_timeout = parameters.take_number::<u32>("connect_timeout")?.filter(|seconds| *seconds > 0);
    let connect_timeout = connect_timeout.map(|s| Duration::from_secs(s.into()).min(MAX_CONNECT_TIMEOUT));
    let is_random = take_balancing(&mut parameters)?;
    let places = take_hosts(&mut parameters)?;
    let write_check = take_write_check(&mut parameters, places.len())?;
    config.channel_binding(take_channel_binding(&mut parameters, &tls)?);
    let negotiation = take_negotiation(&mut parameters, &tls)?;
    parameters.refuse_rest()?;
    if tls.is_required() && places.iter().any(|host| matches!(host.place, Place::Unix(_))) {
        return Err("PostgreSQL has no TLS over a Unix socket: name a host, or leave out sslmode".to_owned());
    }
    tls.set_direct(negotiation == SslNegotiation::Direct);
    config.ssl_negotiation(negotiation).ssl_mode(tls.negotiated_mode());
    let hosts = Hosts::new(places, connect_timeout, is_random);
    Ok(DatabaseUrl { config, tls: tls.create_connector()?, hosts: Arc::new(hosts), write_check })
}

/// The parameters of a text that are not read yet.
#[derive(Debug)]
pub(crate) struct Parameters(Vec<Parameter>);

impl Parameters {
    /// Refuses a parameter that is given twice, because libpq and others read a different value, and a parameter that
    /// a wrong separator made part of another value.
    fn new(parameters: Vec<Parameter>) -> Result<Self, String> {
        for (at, (name, value)) in parameters.iter().enumerate() {
            if ["sslmode=", "sslrootcert="].iter().any(|inner| value.contains(inner)) {
                return Err("sslmode is part of another value: separate parameters with & after one ? in a URL, and with \
                     spaces outside of a URL"
                    .to_owned());
            }
            if parameters[..at].iter().any(|(other, _)| other == name) {
                return Err(format!("{} is given twice", quote_name(name)));
            }
        }
        Ok(Self(parameters))
    }

    /// Removes a parameter, and returns its value.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(own, _)| own == name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn take_number<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, String> {
        let value = self.take(name).filter(|value| !value.is_empty());
        value.map(|value| value.trim().parse().map_err(|_| format!("{name} is not a number"))).transpose()
    }

    /// Refuses parameters that nobody has taken.
    fn refuse_rest(&self) -> Result<(), String> {
        match self.0.first() {
            Some((name, _)) => Err(format!("{} is not supported: leave it out", quote_name(name))),
            None => Ok(()),
        }
    }
}

/// Parameters of libpq that are refused by name. Other names are not shown, because they may be part of a password.
const REFUSED: [&str; 25] = [
    "service",
    "servicefile",
    "passfile",
    "require_auth",
    "client_encoding",
    "replication",
    "gssencmode",
    "gssdelegation",
    "gsslib",
    "krbsrvname",
    "requirepeer",
    "requiressl",
    "ssl",
    "sslcompression",
    "sslcertmode",
    "sslcrl",
    "sslcrldir",
    "sslpassword",
    "sslsni",
    "sslkeylogfile",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "min_protocol_version",
    "max_protocol_version",
    "fallback_application_name",
];
/// Parameters that are read.
const READ: [&str; 22] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "options",
    "application_name",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "sslnegotiation",
    "channel_binding",
    "target_session_attrs",
    "load_balance_hosts",
];

/// Returns the name of a parameter for an error.
fn quote_name(name: &str) -> &str {
    if REFUSED.contains(&name) || READ.contains(&name) { name } else { "a parameter that is none of libpq's" }
}

fn set_account(config: &mut Config, parameters: &mut Parameters) -> Result<(), String> {
    if let Some(user) = parameters.take("user").filter(|user| !user.is_empty()) {
        config.user(user);
    }
    if let Some(password) = parameters.take("password") {
        config.password(password);
    }
    if let Some(name) = parameters.take("dbname").filter(|name| !name.is_empty()) {
        config.dbname(name);
    }
    if let Some(options) = parameters.take("options").filter(|options| !options.is_empty()) {
        config.options(options);
    }
    // Every pool has a name of its own, by which operators tell the connections apart.
    parameters.take("application_name");
    Ok(())
}

fn set_keepalives(config: &mut Config, parameters: &mut Parameters) -> Result<(), String> {
    let seconds = |value: Option<u32>, default| match value {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds.into()),
        _ => default,
    };
    let keepalives = parameters.take_number::<i32>("keepalives")?;
    let idle = parameters.take_number("keepalives_idle")?;
    let interval = parameters.take_number("keepalives_interval")?;
    let retries = parameters.take_number("keepalives_count")?.filter(|retries| *retries > 0);
    let unacknowledged = parameters.take_number::<u32>("tcp_user_timeout")?.filter(|millis| *millis > 0);
    config
        .keepalives(keepalives != Some(0))
        .keepalives_idle(seconds(idle, KEEPALIVE_IDLE))
        .keepalives_interval(seconds(interval, KEEPALIVE_INTERVAL))
        .keepalives_retries(retries.unwrap_or(KEEPALIVE_RETRIES))
        .tcp_user_timeout(
            unacknowledged.map_or(TCP_USER_TIMEOUT, |millis| Duration::from_millis(millis.into())),
        );
    Ok(())
}

/// Reads `host`, `hostaddr` and `port`, which are lists of the same length.
fn take_hosts(parameters: &mut Parameters) -> Result<Vec<Host>, String> {
    let mut list = |name| {
        let value = parameters.take(name).filter(|value| !value.is_empty());
        value.map_or_else(Vec::new, |value| value.split(',').map(|entry| entry.trim().to_owned()).collect())
    };
    let names: Vec<String> = list("host");
    let addresses = list("hostaddr");
    let ports = list("port");
    let number = names.len().max(addresses.len());
    if number == 0 {
        return Err("it names no host; write postgres://user:password@host:port/database".to_owned());
    }
    if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
        return Err(format!("it has {} hosts and {} hostaddrs", names.len(), addresses.len()));
    }
    if ports.len() > 1 && ports.len() != number {
        return Err(format!("it has {number} hosts and {} ports: give one port, or one a host", ports.len()));
    }
    let mut hosts = Vec::new();
    for at in 0..number {
        let port = ports.get(at).or(ports.first().filter(|_| ports.len() == 1));
        let place = parse_place(names.get(at), addresses.get(at))?;
        hosts.push(Host { place, port: parse_port(port)? });
    }
    Ok(hosts)
}

fn parse_port(text: Option<&String>) -> Result<u16, String> {
    match text.filter(|text| !text.is_empty()) {
        None => Ok(DEFAULT_PORT),
        Some(text) => {
            let port = text.parse().ok().filter(|port| *port > 0);
            port.ok_or_else(|| "a port is not a number from 1 to 65535".to_owned())
        }
    }
}

fn parse_place(name: Option<&String>, address: Option<&String>) -> Result<Place, String> {
    let address = address.filter(|address| !address.is_empty());
    let address: Option<IpAddr> =
        address.map(|a| a.parse().map_err(|_| "a hostaddr is not an IP address".to_owned())).transpose()?;
    let name = name.filter(|name| !name.is_empty());
    match (name, address) {
        (Some(path), None) if path.starts_with('/') => Ok(Place::Unix(path.into())),
        (Some(path), Some(_)) if path.starts_with('/') => {
            Err("a Unix socket has no hostaddr: leave it out".to_owned())
        }
        (Some(name), address) => {
            let address = address.or_else(|| name.parse().ok());
            if address.is_none() && name.contains(|c: char| !is_of_host_name(c)) {
                return Err(
                    "a host is neither a name, an IP address nor the path of a Unix socket".to_owned()
                );
            }
            Ok(Place::Tcp { name: name.clone(), address })
        }
        // The address stands for the name, also in the certificate.
        (None, Some(address)) => Ok(Place::Tcp { name: address.to_string(), address: Some(address) }),
        (None, None) => Err("a host in the list is empty".to_owned()),
    }
}

fn is_of_host_name(character: char) -> bool {
    character.is_alphanumeric() || ['-', '_', '.'].contains(&character)
}

/// Reads `target_session_attrs`.
///
/// Of several hosts only the primary is of use, because every process writes. With one host the default is not to check,
/// because a server that refuses writes for a while still answers reads.
fn take_write_check(parameters: &mut Parameters, hosts: usize) -> Result<WriteCheck, String> {
    match parameters.take("target_session_attrs").as_deref() {
        None | Some("") if hosts > 1 => Ok(WriteCheck::ReadWrite),
        None | Some("" | "any") => Ok(WriteCheck::Any),
        Some("read-write") => Ok(WriteCheck::ReadWrite),
        Some("primary") => Ok(WriteCheck::Primary),
        Some("read-only" | "standby" | "prefer-standby") => {
            Err("Postrider writes, so target_session_attrs is read-write, primary or any".to_owned())
        }
        Some(_) => Err("target_session_attrs is read-write, primary or any".to_owned()),
    }
}

fn take_balancing(parameters: &mut Parameters) -> Result<bool, String> {
    match parameters.take("load_balance_hosts").as_deref() {
        None | Some("" | "disable") => Ok(false),
        Some("random") => Ok(true),
        Some(_) => Err("load_balance_hosts is disable or random".to_owned()),
    }
}

fn take_channel_binding(parameters: &mut Parameters, tls: &TlsSettings) -> Result<ChannelBinding, String> {
    match parameters.take("channel_binding").as_deref() {
        None | Some("" | "prefer") => Ok(ChannelBinding::Prefer),
        Some("disable") => Ok(ChannelBinding::Disable),
        Some("require") if tls.is_required() => Ok(ChannelBinding::Require),
        Some("require") => {
            Err("channel_binding=require needs sslmode=require, verify-ca or verify-full".to_owned())
        }
        Some(_) => Err("channel_binding is disable, prefer or require".to_owned()),
    }
}

fn take_negotiation(parameters: &mut Parameters, tls: &TlsSettings) -> Result<SslNegotiation, String> {
    match parameters.take("sslnegotiation").as_deref() {
        None | Some("" | "postgres") => Ok(SslNegotiation::Postgres),
        Some("direct") if tls.is_required() => Ok(SslNegotiation::Direct),
        Some("direct") => {
            Err("sslnegotiation=direct needs sslmode=require, verify-ca or verify-full".to_owned())
        }
        Some(_) => Err("sslnegotiation is postgres or direct".to_owned()),
    }
}

#[cfg(test)]
mod tests;
