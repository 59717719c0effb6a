//! The producer, with persistent messages, `mandatory`, confirms, and many in flight.

use std::sync::Arc;
use std::time::Duration;

use e2e::platform::Platform;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, PublisherConfirm};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::board::Board;

/// Maximum number of unconfirmed messages; beyond it, publishing waits.
const MAX_UNCONFIRMED: usize = 500;
/// The AMQP delivery mode that survives a broker restart.
const PERSISTENT: u8 = 2;

/// Webhooks that subscribe to the same events.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) brand: String,
    pub(crate) event_type: String,
}

/// The rate of events.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pace {
    /// This number in flight, so that the next one is published when one has arrived.
    Closed(u32),
    /// This number a second.
    Open(u32),
    /// This number, as fast as the broker confirms them.
    Flood(u32),
}

/// A producer's connection.
#[derive(Debug)]
pub(crate) struct Source {
    channel: Channel,
    _connection: Connection,
    exchange: String,
    groups: Vec<Group>,
    board: Arc<Board>,
    /// Size of a message.
    bytes: usize,
    confirms: mpsc::Sender<PublisherConfirm>,
}

/// Events that are being published.
#[derive(Debug)]
pub(crate) struct Flow {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Flow {
    /// Stops publishing. Published messages stay published.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(true);
        self.task.await.expect("the producer's task ends without a panic");
    }

    /// Waits for the end of a flood.
    pub(crate) async fn end(self) {
        self.task.await.expect("the producer's task ends without a panic");
    }
}

impl Source {
    pub(crate) async fn connect(
        platform: &Platform,
        groups: Vec<Group>,
        bytes: usize,
        board: Arc<Board>,
    ) -> Arc<Self> {
        let connection = Connection::connect(platform.amqp_url(), ConnectionProperties::default()).await;
        let connection = connection.expect("the broker");
        let channel = connection.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        let (confirms, unconfirmed) = mpsc::channel(MAX_UNCONFIRMED);
        tokio::spawn(count_confirms(unconfirmed, Arc::clone(&board)));
        let exchange = format!("{}.events", platform.namespace);
        Arc::new(Self { channel, _connection: connection, exchange, groups, board, bytes, confirms })
    }

    /// Starts to publish events of these groups in turn.
    pub(crate) fn start(self: &Arc<Self>, groups: Vec<u32>, pace: Pace) -> Flow {
        let (stop, stopped) = watch::channel(false);
        let source = Arc::clone(self);
        let task = tokio::spawn(async move { source.publish_flow(&groups, pace, stopped).await });
        Flow { stop, task }
    }

    async fn publish_flow(&self, groups: &[u32], pace: Pace, mut stopped: watch::Receiver<bool>) {
        let most = if let Pace::Flood(events) = pace { events as usize } else { usize::MAX };
        if let Pace::Closed(places) = pace {
            self.board.open_loop(places);
        }
        let mut ticks = tick_interval(pace);
        for group in groups.iter().cycle().take(most) {
            tokio::select! {
                biased;
                _ = stopped.changed() => break,
                () = self.wait_turn(pace, &mut ticks) => self.publish_event(*group).await,
            }
        }
    }

    /// Waits until the next event may be published.
    async fn wait_turn(&self, pace: Pace, ticks: &mut tokio::time::Interval) {
        match pace {
            Pace::Closed(_) => self.board.room.acquire().await.expect("it is never closed").forget(),
            Pace::Open(_) => drop(ticks.tick().await),
            Pace::Flood(_) => {}
        }
    }

    /// Publishes one event, and counts its confirm in the background.
    pub(crate) async fn publish_event(&self, group: u32) {
        let Group { brand, event_type } = &self.groups[group as usize];
        let body = event_message(&self.board.record_publish(group), brand, event_type, self.bytes);
        let properties = BasicProperties::default()
            .with_delivery_mode(PERSISTENT)
            .with_content_type("application/json".into());
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let exchange = self.exchange.as_str().into();
        let key = event_type.as_str().into();
        let sent = self.channel.basic_publish(exchange, key, options, body.as_bytes(), properties).await;
        self.confirms.send(sent.expect("the broker accepts it")).await.expect("someone counts confirms");
    }
}

/// Returns an event's message of about this size.
pub(crate) fn event_message(id: &str, brand: &str, event_type: &str, bytes: usize) -> String {
    let head = format!(r#"{{"id":"{id}","brandId":"{brand}","type":"{event_type}","data":"#);
    format!("{head}{}}}", event_data(bytes.saturating_sub(head.len() + 1)))
}

/// Returns an event's data of this size, similar to a notification's.
pub(crate) fn event_data(bytes: usize) -> String {
    let frame = r#"{"phoneNumber":"+1234456789","locale":"en-US","message":""}"#.len();
    let text: String =
        "All is well, nothing is lost. ".chars().cycle().take(bytes.saturating_sub(frame)).collect();
    format!(r#"{{"phoneNumber":"+1234456789","locale":"en-US","message":"{text}"}}"#)
}

fn tick_interval(pace: Pace) -> tokio::time::Interval {
    let rate = if let Pace::Open(rate) = pace { rate.max(1) } else { 1 };
    // Late ticks are made up for, so that a busy machine does not slow the load.
    tokio::time::interval(Duration::from_secs(1) / rate)
}

async fn count_confirms(mut unconfirmed: mpsc::Receiver<PublisherConfirm>, board: Arc<Board>) {
    while let Some(confirm) = unconfirmed.recv().await {
        // An unconfirmed message is missing at the end.
        if let Ok(Confirmation::Ack(None)) = confirm.await {
            board.record_confirm();
        }
    }
}
