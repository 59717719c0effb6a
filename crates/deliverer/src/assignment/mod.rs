//! Decides which webhooks this replica serves, and serves them.
//!
//! Every 500 ms the replica loads the configuration and computes all assignments among the replicas that are alive.
//! It polls instead of listening for notifications, so that none can be lost. Each webhook has an owner and a standby;
//! every replica computes the same from the same data ([`domain::assignment`]).
//!
//! The same pass starts searches for work that no message announces: redeliveries, retries whose message has not come,
//! orphaned deliveries, and generations that ended. They run in the background. [`heartbeat`] shows that the replica
//! lives, whatever the pass waits for.

mod assigned_webhook;
mod background_search;
mod close_generation;
mod heartbeat;
mod overdue_search;
mod throttle;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domain::assignment::{Assignment, Role};
use domain::ids::WebhookId;
use domain::redelivery_pacing::Sender;
use runtime::tasks;
use store::delivery::orphaned;
use store::delivery::search_floors::SearchFloors;
use store::instances::Instance;
use store::redelivery::jobs;
use store::{Store, clock};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::consumer::prefetch::PrefetchPlan;
use crate::consumer::worker::{Worker, WorkerServices};
use crate::telemetry::{self, Operation};
use crate::webhook_cache::{WebhookCache, WebhookConfig};
use assigned_webhook::{AssignedWebhook, RoleAction, Serving, decide_role};
use background_search::BackgroundSearch;
pub(crate) use close_generation::GenerationCloser;
use overdue_search::OverdueSearcher;
use throttle::Throttle;

/// How often the assignments are computed. A new webhook is served, and a paused one left alone, within this time.
const ASSIGN_INTERVAL: Duration = Duration::from_millis(500);
/// How long standbys wait before they subscribe. RabbitMQ makes the first subscriber the active one, and that must be the
/// owner.
const STANDBY_INTERVAL: Duration = Duration::from_secs(2);
/// How often orphaned deliveries are looked for. A delivery must be due for as long to count as orphaned.
const ORPHAN_INTERVAL: Duration = Duration::from_secs(10);

/// How long a pass waits for a search for redeliveries. It takes milliseconds in general, and the pass need not find its
/// result one interval later.
const SEARCH_WAIT: Duration = Duration::from_millis(200);

/// The webhooks of this replica.
#[derive(Debug)]
pub(crate) struct Assignments {
    webhooks: Arc<WebhookCache>,
    workers: WorkerServices,
    me: Instance,
    plan: Plan,
    prefetch: PrefetchPlan,
    assigned: HashMap<WebhookId, AssignedWebhook>,
    closer: GenerationCloser,
    searches: PendingSearches,
    standbys: Throttle,
    orphans: Throttle,
}

/// The searches for work that no message announces.
#[derive(Debug)]
pub(crate) struct PendingSearches {
    store: Store,
    redeliveries: BackgroundSearch,
    overdue: OverdueSearcher,
    orphans: BackgroundSearch,
    orphan_floors: SearchFloors,
}

impl PendingSearches {
    /// `retry_floors` are the floors of overdue retries.
    pub(crate) fn new(store: Store, retry_floors: SearchFloors) -> Self {
        Self {
            redeliveries: BackgroundSearch::new("redelivery search", Operation::FindRedeliveries),
            overdue: OverdueSearcher::new(store.clone(), retry_floors, Instant::now()),
            orphans: BackgroundSearch::new("orphan search", Operation::FindOrphaned),
            orphan_floors: SearchFloors::default(),
            store,
        }
    }

    /// Finds the webhooks that have something to redeliver.
    async fn find_redeliveries(&mut self) -> Vec<WebhookId> {
        if self.redeliveries.may_start(Instant::now()) {
            let store = self.store.clone();
            self.redeliveries.start(async move { jobs::find_webhooks(&store).await });
        }
        self.redeliveries.take_found(SEARCH_WAIT).await
    }

    /// Starts a search for orphaned deliveries among these webhooks.
    fn start_orphan_search(&mut self, idle: Vec<WebhookId>) {
        if self.orphans.may_start(Instant::now()) && !idle.is_empty() {
            let store = self.store.clone();
            let floors = self.orphan_floors.clone();
            let due_before = clock::now() - TimeDelta::from_std(ORPHAN_INTERVAL).unwrap_or_default();
            self.orphans.start(async move {
                orphaned::find_webhooks_with_orphans(&store, &floors, &idle, due_before).await
            });
        }
    }
}

/// The roles of all replicas, which change with the replicas and the webhooks.
#[derive(Debug, Default)]
struct Plan {
    replicas: Vec<Uuid>,
    webhooks: Vec<WebhookId>,
    shares: Assignment,
}

impl Assignments {
    pub(crate) fn new(
        webhooks: Arc<WebhookCache>,
        workers: WorkerServices,
        closer: GenerationCloser,
        searches: PendingSearches,
        me: Instance,
    ) -> Self {
        let now = Instant::now();
        Self {
            webhooks,
            workers,
            me,
            plan: Plan::default(),
            prefetch: PrefetchPlan::default(),
            assigned: HashMap::new(),
            closer,
            searches,
            standbys: Throttle::passed_at(STANDBY_INTERVAL, now),
            orphans: Throttle::passed_at(ORPHAN_INTERVAL, now),
        }
    }

    /// Serves until `stop`, then closes all workers and leaves.
    pub(crate) async fn serve(mut self, tracker: &TaskTracker, stop: &CancellationToken) {
        let (alive, mut replicas) = watch::channel(Vec::new());
        let left = CancellationToken::new();
        let store = self.searches.store.clone();
        let renewing = heartbeat::renew_until_stopped(store, self.me.clone(), alive, left.clone());
        tracker.spawn(tasks::run_until_stopped("heartbeat", left.clone(), renewing));
        tokio::select! { () = stop.cancelled() => {}, _ = replicas.changed() => {} }
        while !stop.is_cancelled() {
            let alive = replicas.borrow().clone();
            // A pass may wait for the database, and the workers would begin further attempts meanwhile.
            if stop.run_until_cancelled(self.run_pass(&alive)).await.is_none() {
                break;
            }
            tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(ASSIGN_INTERVAL) => {} }
        }
        for assigned in self.assigned.values() {
            assigned.worker.close();
        }
        left.cancel();
    }

    /// Runs one pass. While the database is away, all stays as it is.
    async fn run_pass(&mut self, replicas: &[Uuid]) {
        if let Err(error) = self.webhooks.refresh().await {
            return telemetry::report_retry(Operation::RefreshWebhooks, &error);
        }
        let may_start_standbys = self.standbys.try_pass(Instant::now());
        self.assign_webhooks(replicas, may_start_standbys);
        for webhook in self.searches.find_redeliveries().await {
            self.start_redelivery(webhook);
        }
        self.search_overdue_retries().await;
        self.examine_orphaned().await;
    }

    /// Starts redelivery on the replica that is the queue's active consumer. If no message has arrived, this replica
    /// does not know the active consumer; as the owner it then publishes a nudge.
    fn start_redelivery(&mut self, webhook: WebhookId) {
        let Some(assigned) = self.assigned.get_mut(&webhook) else { return };
        match assigned.view().sender() {
            Sender::ThisReplica => assigned.worker.start_redelivery(),
            Sender::Unknown => assigned.nudge(),
            Sender::AnotherReplica => {}
        }
    }

    /// Attempts retries from the database whose message has not come.
    async fn search_overdue_retries(&mut self) {
        for webhook in self.searches.overdue.take_found().await {
            self.start_redelivery(webhook);
        }
        let served = self.assigned.iter().map(|(id, assigned)| (*id, assigned.view()));
        self.searches.overdue.start_search(served, Instant::now());
    }

    /// Examines the queues of idle webhooks for which a delivery is due.
    async fn examine_orphaned(&mut self) {
        for webhook in self.searches.orphans.take_found(Duration::ZERO).await {
            if let Some(assigned) = self.assigned.get_mut(&webhook) {
                assigned.examine_queue();
            }
        }
        if self.orphans.try_pass(Instant::now()) {
            self.searches.orphan_floors.retain(self.assigned.keys().copied());
            let idle: Vec<WebhookId> = self
                .assigned
                .iter_mut()
                .filter_map(|(id, assigned)| assigned.has_been_idle().then_some(*id))
                .collect();
            self.searches.start_orphan_search(idle);
        }
    }

    /// Brings the workers in line with the roles. `may_start_standbys`: the owners have had time to subscribe.
    fn assign_webhooks(&mut self, replicas: &[Uuid], may_start_standbys: bool) {
        let webhooks = self.webhooks.all_configs();
        let known: HashSet<WebhookId> = webhooks.iter().map(|webhook| webhook.id).collect();
        let all = known.iter().copied().chain(self.webhooks.unreadable_ids()).collect();
        self.plan.update(replicas, all);
        self.prefetch.update(&webhooks);
        let mut owned = 0;
        let mut standby = 0;
        for webhook in &webhooks {
            let role = self.plan.shares.role_of(self.me.id, webhook.id);
            match role {
                Role::Owner => owned += 1,
                Role::Standby => standby += 1,
                Role::Unassigned => {}
            }
            self.apply_role(webhook, role, may_start_standbys);
            if role == Role::Owner {
                self.closer.close_ended(webhook);
            }
        }
        self.assigned.retain(|id, assigned| {
            let is_known = known.contains(id);
            if !is_known {
                assigned.worker.close();
            }
            is_known
        });
        self.closer.forget_finished();
        telemetry::report_assignments(replicas.len(), owned, standby);
    }

    /// Starts, keeps or stops the worker of one webhook.
    fn apply_role(&mut self, webhook: &WebhookConfig, role: Role, may_start_standbys: bool) {
        let assigned = self.assigned.get_mut(&webhook.id);
        let serving = assigned.as_ref().map(|assigned| Serving {
            role: assigned.role,
            limits: assigned.worker.limits(),
            is_misplaced: assigned.is_misplaced(),
        });
        let limits = self.prefetch.limits_of(webhook);
        let action = decide_role(serving, role, limits, may_start_standbys);
        if let Some(assigned) = assigned {
            match action {
                RoleAction::Stop | RoleAction::Replace => {
                    assigned.worker.close();
                    self.assigned.remove(&webhook.id);
                }
                RoleAction::Keep => assigned.set_role(role),
                RoleAction::Start | RoleAction::Ignore => {}
            }
        }
        if matches!(action, RoleAction::Start | RoleAction::Replace) {
            let worker = Worker::start(&self.workers, webhook, limits, role == Role::Owner);
            self.assigned.insert(webhook.id, AssignedWebhook::new(worker, role, Instant::now()));
        }
    }
}

impl Plan {
    /// Computes the roles again if replicas or webhooks changed. Returns whether they did.
    fn update(&mut self, replicas: &[Uuid], mut webhooks: Vec<WebhookId>) -> bool {
        webhooks.sort_unstable();
        let is_changed = self.replicas != replicas || self.webhooks != webhooks;
        if is_changed {
            self.shares = Assignment::compute(replicas, &webhooks);
            self.replicas = replicas.to_vec();
            self.webhooks = webhooks;
        }
        is_changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicas(numbers: std::ops::Range<u128>) -> Vec<Uuid> {
        numbers.map(Uuid::from_u128).collect()
    }

    fn webhooks(numbers: std::ops::Range<u128>) -> Vec<WebhookId> {
        numbers.map(|number| WebhookId(Uuid::from_u128(number))).collect()
    }

    #[test]
    fn roles_are_computed_again_only_when_replicas_or_webhooks_change() {
        let mut plan = Plan::default();
        assert!(plan.update(&replicas(0..2), webhooks(10..20)));
        let reversed = webhooks(10..20).into_iter().rev().collect();
        assert!(!plan.update(&replicas(0..2), reversed), "the order of the webhooks is no change");
        assert!(plan.update(&replicas(0..3), webhooks(10..20)));
        assert!(plan.update(&replicas(0..3), webhooks(10..21)));
        assert!(!plan.update(&replicas(0..3), webhooks(10..21)));
    }

    #[test]
    fn each_webhook_has_one_owner_and_one_standby_among_the_replicas() {
        let mut plan = Plan::default();
        let replicas = replicas(0..3);
        let webhooks = webhooks(10..50);
        plan.update(&replicas, webhooks.clone());
        for webhook in webhooks {
            let count =
                |role| replicas.iter().filter(|me| plan.shares.role_of(**me, webhook) == role).count();
            let roles = [Role::Owner, Role::Standby, Role::Unassigned].map(count);
            assert_eq!(roles, [1, 1, 1]);
        }
    }
}
