//! Creates the connections of a pool, from the hosts in turn.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use runtime::error::Chain;
use runtime::tasks;
use tokio::time::Instant;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, NoTls, Socket};
use tracing::{debug, info, warn};

use crate::connection::hosts::{FormerPrimary, Host, MAX_ADDRESSES, Place, Target};
use crate::connection::session;
use crate::connection::url::DatabaseUrl;
use crate::pool::SessionOptions;

/// A connection of the pool.
pub type Connection = managed::Object<ConnectionManager>;

/// Creates connections with the same session settings.
#[derive(Debug)]
pub struct ConnectionManager {
    url: DatabaseUrl,
    options: SessionOptions,
    /// Whether the settings of a session were compared with the asked ones.
    compared: AtomicBool,
}

/// No host accepted a connection.
#[derive(Debug, thiserror::Error)]
#[error("{}", describe_failures(.0))]
pub struct ConnectError(Vec<(String, HostFailure)>);

/// Why a host did not accept a connection.
#[derive(Debug, thiserror::Error)]
enum HostFailure {
    #[error("it did not answer within {0:?}")]
    Silent(Duration),
    #[error("its name could not be looked up: {0}")]
    Unknown(std::io::Error),
    #[error("{}{}", Chain(.0), hint(.0))]
    Failed(tokio_postgres::Error),
    /// The server does not allow writes.
    #[error("it takes no writes: {0}")]
    ReadOnly(&'static str),
}

fn describe_failures(failures: &[(String, HostFailure)]) -> String {
    let each = failures.iter().map(|(host, failure)| format!("{host}: {failure}"));
    each.collect::<Vec<_>>().join("; ")
}

/// Says what to do about a pooler that refuses the settings of the session. PostgreSQL itself never does.
fn hint(error: &tokio_postgres::Error) -> &'static str {
    match error.as_db_error() {
        Some(error) if error.message().contains("startup parameter") => {
            "; add options to PgBouncer's ignore_startup_parameters, and set the settings for the role (deploy/README.md)"
        }
        _ => "",
    }
}

impl ConnectionManager {
    pub(crate) fn new(mut url: DatabaseUrl, options: SessionOptions, application: &str) -> Self {
        url.config.application_name(application).options(options.to_string());
        Self { url, options, compared: AtomicBool::new(false) }
    }

    /// Closes all connections of the process, because the server of a statement that began then does not allow writes.
    pub(crate) fn leave_host(&self, began: Instant) {
        self.url.hosts.leave(began);
    }

    /// Connects to a host: to each of its addresses in turn.
    async fn connect_host(&self, at: usize, host: &Host) -> Result<ClientWrapper, HostFailure> {
        let Place::Tcp { name, address } = &host.place else {
            return self.attempt(host, Target { host: at, address: None }, 1).await;
        };
        let addresses = match address {
            Some(address) => vec![*address],
            None => self.look_up(at, name, host.port).await?,
        };
        let mut last = HostFailure::Unknown(std::io::Error::other("it has no address"));
        for address in &addresses {
            let target = Target { host: at, address: Some(*address) };
            match self.attempt(host, target, addresses.len()).await {
                Ok(client) => return Ok(client),
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    /// Looks up the addresses of a name, and puts the address that answered last at the front.
    async fn look_up(&self, at: usize, name: &str, port: u16) -> Result<Vec<IpAddr>, HostFailure> {
        let within = self.url.hosts.attempt_timeout(1);
        let found = tokio::time::timeout(within, tokio::net::lookup_host((name, port))).await;
        let found = found.map_err(|_| HostFailure::Silent(within))?.map_err(HostFailure::Unknown)?;
        Ok(order_addresses(found.map(|address: SocketAddr| address.ip()), self.url.hosts.last_address(at)))
    }

    /// Connects to an address, authenticates and checks the session, all within one timeout.
    async fn attempt(
        &self,
        host: &Host,
        target: Target,
        addresses: usize,
    ) -> Result<ClientWrapper, HostFailure> {
        let within = self.url.hosts.attempt_timeout(addresses);
        let is_checked = self.url.write_check != session::WriteCheck::Any;
        let config = configure(&self.url.config, host, target);
        let opening = Box::pin(async {
            let client = match self.url.tls.clone() {
                Some(tls) => open(&config, tls).await,
                None => open(&config, NoTls).await,
            };
            let client = client.map_err(HostFailure::Failed)?;
            self.check_session(&client).await?;
            let lineage = if is_checked { session::read_lineage(&client).await } else { None };
            Ok((client, lineage))
        });
        let (client, lineage) =
            tokio::time::timeout(within, opening).await.map_err(|_| HostFailure::Silent(within))??;
        let noted = self.url.hosts.note_connected(target, is_checked, lineage);
        let former = "a standby was promoted in its place (its timeline is older)";
        if let Some(left) = noted.map_err(|FormerPrimary| HostFailure::ReadOnly(former))? {
            info!(%host, %left, "PostgreSQL answers at another address than before");
        }
        Ok(client)
    }

    async fn check_session(&self, client: &Client) -> Result<(), HostFailure> {
        if self.url.write_check != session::WriteCheck::Any {
            let access = session::read_access(client).await.map_err(HostFailure::Failed)?;
            if let Some(reason) = self.url.write_check.refusal(access) {
                return Err(HostFailure::ReadOnly(reason));
            }
        }
        if self.compared.load(Ordering::Relaxed) {
            return Ok(());
        }
        let ignored = session::find_ignored(client, &self.options).await.map_err(HostFailure::Failed)?;
        if !self.compared.swap(true, Ordering::Relaxed) && !ignored.is_empty() {
            warn_of_ignored(&ignored);
        }
        Ok(())
    }
}

fn warn_of_ignored(ignored: &[String]) {
    warn!(
        settings = ignored.join(", "),
        "PostgreSQL did not take the settings of the connection, as behind PgBouncer with ignore_startup_parameters; set \
         them for the role: ALTER ROLE … SET statement_timeout = '9s'; … SET lock_timeout = '5s'; … SET jit = off; … SET \
         TimeZone = 'UTC', or in PgBouncer's connect_query"
    );
}

impl managed::Manager for ConnectionManager {
    type Type = ClientWrapper;
    type Error = ConnectError;

    async fn create(&self) -> Result<ClientWrapper, ConnectError> {
        let mut failures = Vec::new();
        for (at, host) in self.url.hosts.in_order() {
            match Box::pin(self.connect_host(at, host)).await {
                Ok(client) => return Ok(client),
                Err(failure) => failures.push((host.to_string(), failure)),
            }
        }
        Err(ConnectError(failures))
    }

    async fn recycle(&self, client: &mut ClientWrapper, metrics: &Metrics) -> RecycleResult<ConnectError> {
        if client.is_closed() {
            return Err(RecycleError::message("the connection is closed"));
        }
        if self.url.hosts.has_left(metrics.created) {
            return Err(RecycleError::message("the connection is to a host that was left"));
        }
        Ok(())
    }
}

/// Returns the different addresses, with `last` at the front if it is among them.
fn order_addresses(found: impl Iterator<Item = IpAddr>, last: Option<IpAddr>) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses.sort_by_key(|address| Some(*address) != last);
    addresses.truncate(MAX_ADDRESSES);
    addresses
}

/// Returns the settings of a connection to one address of one host.
fn configure(config: &Config, host: &Host, target: Target) -> Config {
    let mut config = config.clone();
    match &host.place {
        Place::Tcp { name, .. } => config.host(name),
        Place::Unix(path) => config.host_path(path),
    };
    if let Some(address) = target.address {
        config.hostaddr(address);
    }
    config.port(host.port);
    config
}

async fn open<T>(config: &Config, tls: T) -> Result<ClientWrapper, tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
{
    let (client, connection) = config.connect(tls).await?;
    let serving = tasks::spawn_named("PostgreSQL connection", async move {
        if let Err(error) = connection.await {
            debug!(error = %Chain(&error), "a connection to PostgreSQL ended");
        }
    });
    Ok(ClientWrapper::new(client, serving))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_answered_last_is_tried_first() {
        let address = |n| IpAddr::from([10, 0, 0, n]);
        let found = [1, 2, 2, 3, 4, 5, 6].map(address);
        assert_eq!(order_addresses(found.into_iter(), None), [1, 2, 3, 4].map(address));
        assert_eq!(order_addresses(found.into_iter(), Some(address(6))), [6, 1, 2, 3].map(address));
        assert_eq!(order_addresses(found.into_iter(), Some(address(9))), [1, 2, 3, 4].map(address));
    }
}
