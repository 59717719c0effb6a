//! Drains the backlogs: takes their messages as the brands get their turns.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use broker::{BrokerError, Puller};
use domain::backlog_access::{self, AccessBounds, BacklogAccess, DrainedBacklog};
use domain::ids::BrandId;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use runtime::error::Chain;
use store::routing::backlogs;
use tokio::time::Instant;
use tracing::{error_span, warn};

use super::pull::Pulled;
use super::{Backlogs, failure_of};
use crate::intake::BacklogMessage;
use crate::telemetry;

/// Time between two looks at the table of backlogs, and at a queue that was empty.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Backlogs that a router drains at once. Each has a channel, and a connection has 2,047 of them.
const MAX_DRAINED: usize = 1000;
/// Rows of the table that are read at once.
pub(super) const MAX_LISTED: i64 = 10_000;
/// Queues that are asked for a message at once. Each may return a message of 256 KiB that no room was kept for.
const PULLS: AccessBounds = AccessBounds { all: 32, quick: 16, failing: 4, refusal_delay: POLL_INTERVAL };

/// The backlog of one brand, while it is drained.
struct Drained {
    puller: Arc<Puller>,
    /// The messages that are not acknowledged.
    messages: Vec<Weak<BacklogMessage>>,
    /// When the queue is asked again, after it was empty.
    retry_at: Option<Instant>,
    /// Whether a message was taken from it.
    had_turn: bool,
}

/// The backlogs that this router drains.
struct Drainer {
    backlogs: Backlogs,
    drained: HashMap<BrandId, Drained>,
    /// The drained brands, in the order in which their queues are asked.
    turns: VecDeque<BrandId>,
    pulls: BacklogAccess<BrandId>,
    /// The page of the table that is read next.
    next_page: Option<BrandId>,
    /// Events in the pages before it.
    waiting_before: i64,
    /// The brand that got a place last.
    admitted_last: Option<BrandId>,
}

impl Backlogs {
    /// Drains the backlogs until the process stops.
    pub(crate) async fn drain_backlogs(self) {
        let stop = self.stop.clone();
        let mut drainer = Drainer {
            backlogs: self,
            drained: HashMap::new(),
            turns: VecDeque::new(),
            pulls: BacklogAccess::new(PULLS),
            next_page: None,
            waiting_before: 0,
            admitted_last: None,
        };
        stop.run_until_cancelled(drainer.drain()).await;
        for drained in drainer.drained.values() {
            drained.puller.flush().await;
        }
        drainer.save_figures().await;
    }
}

impl Drained {
    /// Returns whether some of its messages are not acknowledged.
    fn has_messages(&mut self) -> bool {
        self.messages.retain(|message| message.strong_count() > 0);
        !self.messages.is_empty()
    }
}

impl Drainer {
    async fn drain(&mut self) {
        // They go on while other queues are asked, so that a queue that does not answer holds up none of them.
        let mut pulls = FuturesUnordered::new();
        let mut list_at = Instant::now();
        loop {
            if list_at <= Instant::now() {
                list_at = Instant::now() + POLL_INTERVAL;
                self.save_figures().await;
                self.find_backlogs().await;
            }
            let moved = std::mem::take(&mut self.backlogs.shared.lock().moved);
            self.start_draining(moved.into_iter().collect()).await;
            for (brand_id, puller) in self.begin_pulls() {
                let backlogs = self.backlogs.clone();
                pulls.push(async move {
                    let pulled = backlogs.pull(&brand_id, &puller).await;
                    (brand_id, pulled)
                });
            }
            tokio::select! {
                Some((brand_id, pulled)) = pulls.next() => self.finish_pull(brand_id, pulled).await,
                () = self.backlogs.read_ahead.wait_taken() => {}
                () = self.backlogs.shared.moved.notified() => {}
                () = tokio::time::sleep_until(list_at) => {}
            }
        }
    }

    /// Finds the queues that have events by the figures.
    async fn find_backlogs(&mut self) {
        let after = self.next_page.as_ref();
        match backlogs::list_backlogs(&self.backlogs.store, false, after, MAX_LISTED).await {
            Ok(page) => {
                self.waiting_before +=
                    page.backlogs.iter().map(|backlog| backlog.waiting_events).sum::<i64>();
                self.next_page = page.next;
                if self.next_page.is_none() {
                    let waiting = std::mem::take(&mut self.waiting_before);
                    telemetry::backlogs(self.drained.len(), waiting, self.backlogs.read_ahead.count_events());
                }
                self.start_draining(page.backlogs.into_iter().map(|backlog| backlog.brand_id).collect())
                    .await;
            }
            Err(error) => warn!(error = %Chain(&error), "could not look up the backlogs of brands; retrying"),
        }
    }

    /// Starts to drain the backlogs of some brands. If there are too many, they take turns.
    async fn start_draining(&mut self, mut brands: Vec<BrandId>) {
        brands.retain(|brand_id| !self.drained.contains_key(brand_id));
        if brands.is_empty() {
            return;
        }
        let mut giving_way = None;
        brands.sort_unstable();
        backlog_access::rotate_after(&mut brands, self.admitted_last.as_ref());
        for brand_id in brands {
            if self.drained.len() >= MAX_DRAINED {
                if self.backlogs.read_ahead.is_stopped(&brand_id) {
                    continue;
                }
                let giving_way = giving_way.get_or_insert_with(|| self.list_giving_way());
                let Some(other) = giving_way.pop() else { return };
                self.stop_draining(&other).await;
            }
            let queue = self.backlogs.topology.names().backlog_queue(&brand_id);
            let puller = Arc::new(Puller::new(self.backlogs.pulling.clone(), queue));
            let drained = Drained { puller, messages: Vec::new(), retry_at: None, had_turn: false };
            self.drained.insert(brand_id.clone(), drained);
            self.turns.push_back(brand_id.clone());
            self.admitted_last = Some(brand_id);
        }
    }

    /// Lists the brands whose backlogs give their places to others.
    fn list_giving_way(&mut self) -> Vec<BrandId> {
        let (pulls, read_ahead) = (&self.pulls, &self.backlogs.read_ahead);
        let gives_way = |brand_id: &BrandId, drained: &mut Drained| {
            backlog_access::may_give_way(DrainedBacklog {
                is_in_use: pulls.is_running(brand_id) || drained.has_messages(),
                had_turn: drained.had_turn,
                is_stopped: pulls.is_failing(brand_id) || read_ahead.is_stopped(brand_id),
            })
        };
        let giving_way = self
            .drained
            .iter_mut()
            .filter_map(|(brand_id, drained)| gives_way(brand_id, drained).then_some(brand_id));
        giving_way.cloned().collect()
    }

    /// Closes the channel of a queue that is not asked now.
    async fn stop_draining(&mut self, brand_id: &BrandId) {
        if let Some(drained) = self.drained.remove(brand_id) {
            drained.puller.flush().await;
            self.turns.retain(|other| other != brand_id);
        }
    }

    /// Begins to ask the queues of the next brands that have room for a message.
    fn begin_pulls(&mut self) -> Vec<(BrandId, Arc<Puller>)> {
        let now = Instant::now();
        let elapsed = self.backlogs.shared.elapsed();
        let read_ahead = &self.backlogs.read_ahead;
        let mut begun = Vec::new();
        if !self.pulls.has_room(elapsed) {
            return begun;
        }
        let pulled = read_ahead.measure_pulled();
        for _ in 0..self.turns.len() {
            let Some(brand_id) = self.turns.pop_front() else { break };
            self.turns.push_back(brand_id.clone());
            let Some(drained) = self.drained.get(&brand_id) else { continue };
            let is_due =
                drained.retry_at.is_none_or(|at| at <= now) && self.pulls.may_begin(&brand_id, elapsed);
            if is_due && read_ahead.has_room_for_pulled(&brand_id, pulled) {
                self.pulls.begin(brand_id.clone(), elapsed);
                begun.push((brand_id, Arc::clone(&drained.puller)));
                if !self.pulls.has_room(elapsed) {
                    break;
                }
            }
        }
        begun
    }

    async fn finish_pull(&mut self, brand_id: BrandId, pulled: Result<Pulled, BrokerError>) {
        let pulled = match pulled {
            Ok(pulled) => pulled,
            Err(error) => {
                let span = error_span!("backlog", brand = %brand_id);
                span.in_scope(
                    || warn!(error = %Chain(&error), "could not drain the backlog of a brand; retrying"),
                );
                return self.pulls.fail(&brand_id, self.backlogs.shared.elapsed(), failure_of(&error));
            }
        };
        self.pulls.succeed(&brand_id);
        let Some(drained) = self.drained.get_mut(&brand_id) else { return };
        drained.had_turn = true;
        match pulled {
            Pulled::Events(taken, carrier) => {
                drained.messages.retain(|message| message.strong_count() > 0);
                drained.messages.push(carrier);
                self.backlogs.read_ahead.add_pulled(&brand_id, taken);
            }
            Pulled::Handled => {}
            Pulled::Empty => self.handle_empty(&brand_id).await,
        }
    }

    /// Ends draining an empty queue, and corrects the figures, once its last messages are acknowledged.
    async fn handle_empty(&mut self, brand_id: &BrandId) {
        let Some(drained) = self.drained.get_mut(brand_id) else { return };
        if drained.has_messages() {
            drained.retry_at = Some(Instant::now() + POLL_INTERVAL);
            return;
        }
        self.stop_draining(brand_id).await;
        self.backlogs.figures.forget(brand_id);
        if let Err(error) = backlogs::clear_backlog(&self.backlogs.store, brand_id).await {
            warn!(error = %Chain(&error), brand = %brand_id, "could not correct the figures of a backlog");
        }
    }

    /// Saves the changes of the figures. Changes that cannot be saved are lost, and the figures corrected later.
    async fn save_figures(&self) {
        let changes = self.backlogs.figures.take();
        if !changes.is_empty()
            && let Err(error) = backlogs::change_backlogs(&self.backlogs.store, &changes).await
        {
            warn!(error = %Chain(&error), "could not save the figures of backlogs; retrying");
            changes.into_iter().for_each(|(brand_id, change)| self.backlogs.figures.add(&brand_id, change));
        }
    }
}
