//! Faults inside the database: a rule that refuses certain rows, and a dump while maintenance is due.

use std::time::Duration;

use chrono::Utc;
use e2e::event::Event;
use e2e::foreign_sql::{self, Dump};
use e2e::poison::HostileMessage;
use e2e::poll::eventually;
use e2e::process::Process;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use crate::poisoning::send_all;
use crate::progress::Progress;
use crate::world::{REFUSED_TYPE, World};

/// How soon deliveries that have nothing to do with the refused rows or the dump have to flow.
const MAX_DELAY: Duration = Duration::from_secs(12);
/// Events whose rows are refused.
const REFUSED_EVENTS: usize = 10;
/// The reason for which such an event may be rejected.
const STORAGE: &[&str] = &["storage_refused"];
/// How long the dump watches for maintenance that waits for it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// A table with a rule that refuses rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    Events,
    Deliveries,
    Attempts,
}

impl Rows {
    fn table_name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Deliveries => "deliveries",
            Self::Attempts => "attempts",
        }
    }

    /// Makes the database refuse the rows of some events, checks whether all others are delivered and
    /// recorded, and removes the rule.
    pub(crate) async fn run_with_refusals(self, world: &mut World) -> Progress {
        let (place, kind) = world.refused.expect("a webhook for this fault");
        let condition = match self {
            Self::Events | Self::Deliveries => format!("NEW.type = '{REFUSED_TYPE}'"),
            Self::Attempts => {
                format!("NEW.webhook_id = '{}'", world.ledger.subscribers()[place].webhook.id)
            }
        };
        let url = world.platform.database_url();
        foreign_sql::refuse_rows(&url, self.table_name(), &condition).await;
        let began = Instant::now();
        let refused = |_| {
            HostileMessage::valid(
                "an event whose rows are refused",
                world.ledger.draw_disputed_event(kind),
                STORAGE,
            )
        };
        let messages: Vec<HostileMessage> = (0..REFUSED_EVENTS).map(refused).collect();
        send_all(world, messages).await;
        let flows = world.flows_within(MAX_DELAY, None).await;
        let recorded = match &flows {
            Some((_, events)) => timeout(MAX_DELAY, wait_recorded(world, events)).await.is_ok(),
            None => false,
        };
        foreign_sql::stop_refusing_rows(&url, self.table_name()).await;
        Progress { took: recorded.then(|| began.elapsed()), limit: 2 * MAX_DELAY }
    }
}

/// Waits until Get Events shows each of these events as delivered.
async fn wait_recorded(world: &World, events: &[Event]) {
    let support = world.support();
    let subscribers = world.ledger.subscribers();
    for event in events {
        for place in world.ledger.owed_places(event.id()) {
            let webhook = &subscribers[place].webhook.id;
            let path = format!("/v1/{}/webhooks/{webhook}/events/{}", event.brand_id, event.id());
            eventually("the delivery is recorded", 2 * MAX_DELAY, async || {
                let answer = support.get(&path).await;
                let seen: Value = serde_json::from_str(&answer.text).unwrap_or_default();
                if seen["delivery"]["status"] == "delivered" { Ok(()) } else { Err(answer.text) }
            })
            .await;
        }
    }
}

/// Begins a dump, restarts the routers with work for their maintenance, and checks whether deliveries flow
/// before the dump ends.
pub(crate) async fn run_during_dump(world: &mut World) -> Progress {
    let url = world.platform.database_url();
    foreign_sql::create_maintenance_work(&url, Utc::now()).await;
    let dump = Dump::begin(&url).await;
    world.platform.routers.iter_mut().for_each(Process::crash);
    dump.wait_for_lock_waiter(LOCK_TIMEOUT).await;
    let flows = world.flows_within(MAX_DELAY, None).await;
    drop(dump);
    Progress { took: flows.map(|(took, _)| took), limit: MAX_DELAY }
}
