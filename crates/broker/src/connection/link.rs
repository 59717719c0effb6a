//! A connection that is dialled again after it was lost.

use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use lapin::{Channel, Connection, ConnectionProperties, ReceiveBudget};
use tokio::sync::Mutex;
use tracing::info;

use crate::connection::url::{CONNECT_TIMEOUT, Node};
use crate::error::{BrokerError, within};
use crate::settings::BrokerSettings;

/// Longest time for an operation on a channel, such as opening it or declaring a queue.
pub(crate) const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);
/// AMQP heartbeat in seconds. RabbitMQ counts whole intervals and closes the connection of a frozen process in the
/// third interval at the latest, so that other processes take over within 9 s.
pub const HEARTBEAT_SECONDS: u16 = 3;
/// Shortest time between a failed dial and the next one, because thousands of consumers ask for the link at once.
const REDIAL_DELAY: Duration = Duration::from_millis(200);

/// One connection to RabbitMQ for one purpose. Publishing and consuming use separate links, because RabbitMQ stops
/// reading the connections of publishers that it blocks, acknowledgements included. Cheap to clone.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    settings: BrokerSettings,
    name: String,
    dialled: Mutex<Dialled>,
    /// Bytes of received messages that the process may hold, if they are bounded.
    max_received_bytes: Option<usize>,
    /// The budget of the latest connection.
    budget: StdMutex<Option<ReceiveBudget>>,
}

#[derive(Default)]
struct Dialled {
    connection: Option<Connection>,
    failed_at: Option<Instant>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("name", &self.0.name).finish_non_exhaustive()
    }
}

impl Link {
    /// Creates a link that dials at its first use. Operators of RabbitMQ see `name`.
    #[must_use]
    pub fn new(settings: &BrokerSettings, name: impl Into<String>) -> Self {
        Self::new_bounded(settings, name, None)
    }

    /// Creates a link that stops reading while the messages that it has received, and that are not dropped yet, take
    /// `max_received_bytes`. One message more fits, however large it is.
    ///
    /// RabbitMQ then waits with everything on this connection, so each queue that is consumed this way needs a link of
    /// its own.
    #[must_use]
    pub fn with_receive_budget(
        settings: &BrokerSettings,
        name: impl Into<String>,
        max_received_bytes: usize,
    ) -> Self {
        Self::new_bounded(settings, name, Some(max_received_bytes))
    }

    fn new_bounded(
        settings: &BrokerSettings,
        name: impl Into<String>,
        max_received_bytes: Option<usize>,
    ) -> Self {
        Self(Arc::new(Inner {
            settings: settings.clone(),
            name: name.into(),
            dialled: Mutex::default(),
            max_received_bytes,
            budget: StdMutex::default(),
        }))
    }

    /// Returns the bytes of received messages that are not dropped yet, now and at most, over the latest connection;
    /// zero if they are not bounded.
    #[must_use]
    pub fn received_bytes(&self) -> (usize, usize) {
        let budget = self.0.budget.lock().unwrap_or_else(PoisonError::into_inner);
        budget.as_ref().map_or((0, 0), |budget| (budget.held(), budget.peak()))
    }

    /// Opens a channel, over a new connection if the old one was lost.
    ///
    /// # Errors
    /// When RabbitMQ does not answer in time.
    pub async fn open_channel(&self) -> Result<Channel, BrokerError> {
        let mut dialled = self.0.dialled.lock().await;
        dialled.connection.take_if(|connection| !connection.status().connected());
        if dialled.connection.is_none() {
            if dialled.failed_at.is_some_and(|at| at.elapsed() < REDIAL_DELAY) {
                return Err(BrokerError::Unreachable);
            }
            match self.dial().await {
                Ok(connection) => dialled.connection = Some(connection),
                Err(error) => {
                    dialled.failed_at = Some(Instant::now());
                    return Err(error);
                }
            }
        }
        let Some(connection) = dialled.connection.as_ref() else { unreachable!("dialled above") };
        let opened = within(OPERATION_TIMEOUT, "open a channel", connection.create_channel()).await;
        if opened.is_err() {
            // The connection may hang, so the next call dials again.
            dialled.connection = None;
        }
        opened
    }

    /// Returns how many channels RabbitMQ allows on the connection; `None` while there is no connection.
    pub(crate) async fn max_channels(&self) -> Option<u16> {
        self.0.dialled.lock().await.connection.as_ref().map(|dialled| dialled.configuration().channel_max())
    }

    /// Drops the connection, so that the next channel gets a new one. A channel that hangs in RabbitMQ may block the
    /// other channels of its connection.
    pub(crate) async fn abandon(&self) {
        self.0.dialled.lock().await.connection = None;
    }

    /// Closes the connection, so that RabbitMQ gives its messages to other consumers at once.
    pub async fn close(&self) {
        if let Some(connection) = self.0.dialled.lock().await.connection.take() {
            let _ =
                within(CONNECT_TIMEOUT, "close a connection", connection.close(200, "stopping".into())).await;
        }
    }

    /// Creates the budget of a new connection. Messages of an earlier connection do not count, because they are dropped
    /// when their subscription ends.
    fn new_budget(&self) -> Option<ReceiveBudget> {
        let budget = ReceiveBudget::new(self.0.max_received_bytes?);
        *self.0.budget.lock().unwrap_or_else(PoisonError::into_inner) = Some(budget.clone());
        Some(budget)
    }

    /// Connects to the node that answered last, or else to the others in turn.
    async fn dial(&self) -> Result<Connection, BrokerError> {
        let nodes = &self.0.settings.amqp_url;
        let mut failures = Vec::new();
        for (at, node) in nodes.in_order() {
            let timeout = nodes.connect_timeout(node);
            match within(timeout, "accept the connection", self.dial_node(node)).await {
                Ok(connection) => {
                    nodes.note_connected(at);
                    info!(connection = self.0.name, %node, "connected to RabbitMQ");
                    return Ok(connection);
                }
                Err(error) if nodes.is_cluster() => failures.push((node.to_string(), error)),
                Err(error) => return Err(error),
            }
        }
        Err(BrokerError::NoNode(failures))
    }

    async fn dial_node(&self, node: &Node) -> lapin::Result<Connection> {
        let Node { mut uri, tls } = node.clone();
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let mut properties =
            ConnectionProperties::default().with_connection_name(self.0.name.as_str().into());
        if let Some(budget) = self.new_budget() {
            properties = properties.with_receive_budget(budget);
        }
        let runtime = lapin::runtime::default_runtime()?;
        Connection::connect_uri_with_config(uri, properties, tls, runtime).await
    }
}
