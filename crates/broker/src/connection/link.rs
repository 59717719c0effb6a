//! A connection that is dialled again when it is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lapin::{Channel, Connection, ConnectionProperties};
use tokio::sync::Mutex;
use tracing::info;

use crate::error::{BrokerError, within};
use crate::settings::{AmqpUrl, BrokerSettings};

/// Bound for dialling, TLS and the AMQP handshake.
const CONNECT: Duration = Duration::from_secs(5);
/// Bound for opening a channel and for declaring.
pub(crate) const OPERATION: Duration = Duration::from_secs(10);
/// AMQP heartbeat in seconds. The broker counts whole intervals and closes a frozen process's connection
/// in the third at the latest: others take over within 9 s.
pub const HEARTBEAT_SECONDS: u16 = 3;
/// How long after a failed dial the next is made: thousands of consumers want the link back at once.
const REDIAL: Duration = Duration::from_millis(200);

/// One connection to RabbitMQ for one purpose. Publishing and consuming use separate links: a
/// broker that blocks publishers stops reading their connection, acks included. Cheap to clone.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    settings: BrokerSettings,
    name: String,
    dialled: Mutex<Dialled>,
}

#[derive(Default)]
struct Dialled {
    connection: Option<Connection>,
    failed: Option<Instant>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("name", &self.0.name).finish_non_exhaustive()
    }
}

impl Link {
    /// A link that dials at its first use; `name` is what the broker's operators see.
    #[must_use]
    pub fn new(settings: &BrokerSettings, name: impl Into<String>) -> Self {
        Self(Arc::new(Inner { settings: settings.clone(), name: name.into(), dialled: Mutex::default() }))
    }

    /// Opens a channel, over a new connection when the old one is gone.
    ///
    /// # Errors
    /// When the broker does not answer in time.
    pub async fn channel(&self) -> Result<Channel, BrokerError> {
        let mut dialled = self.0.dialled.lock().await;
        dialled.connection.take_if(|connection| !connection.status().connected());
        if dialled.connection.is_none() {
            if dialled.failed.is_some_and(|at| at.elapsed() < REDIAL) {
                return Err(BrokerError::Away);
            }
            match self.dial().await {
                Ok(connection) => dialled.connection = Some(connection),
                Err(error) => {
                    dialled.failed = Some(Instant::now());
                    return Err(error);
                }
            }
        }
        let Some(connection) = dialled.connection.as_ref() else { unreachable!("dialled above") };
        let opened = within(OPERATION, "open a channel", connection.create_channel()).await;
        if opened.is_err() {
            // Half there: the next call dials again.
            dialled.connection = None;
        }
        opened
    }

    /// Channels that its connection may have, as agreed with the broker; `None` while there is none.
    pub(crate) async fn most_channels(&self) -> Option<u16> {
        self.0.dialled.lock().await.connection.as_ref().map(|dialled| dialled.configuration().channel_max())
    }

    /// Dials again for the next channel: a channel that hangs in the broker may hold up the others.
    pub(crate) async fn abandon(&self) {
        self.0.dialled.lock().await.connection = None;
    }

    /// Says goodbye, so that the broker hands over at once.
    pub async fn close(&self) {
        if let Some(connection) = self.0.dialled.lock().await.connection.take() {
            let _ = within(CONNECT, "close a connection", connection.close(200, "stopping".into())).await;
        }
    }

    async fn dial(&self) -> Result<Connection, BrokerError> {
        let AmqpUrl { mut uri, tls } = self.0.settings.amqp_url.clone();
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let properties = ConnectionProperties::default().with_connection_name(self.0.name.as_str().into());
        let dialling = async {
            let runtime = lapin::runtime::default_runtime()?;
            Connection::connect_uri_with_config(uri, properties, tls, runtime).await
        };
        let connection = within(CONNECT, "let us in", dialling).await?;
        info!(connection = self.0.name, "connected to RabbitMQ");
        Ok(connection)
    }
}
