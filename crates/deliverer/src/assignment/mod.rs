//! Decides which webhooks this replica serves, and serves them.
//!
//! Every 500 ms the replica loads the configuration and the replicas that are alive, and computes all assignments.
//! It polls instead of listening for notifications, so that none can be lost. Each webhook has an owner and a standby;
//! every replica computes the same from the same data ([`domain::assignment`]).
//!
//! The same pass looks for work that no message announces: redeliveries, retries whose message has not come, orphaned
//! deliveries, and generations that ended.

mod assigned_webhook;
mod close_generation;
mod overdue_search;
mod throttle;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use domain::assignment::{Assignment, Role};
use domain::ids::WebhookId;
use domain::redelivery_pacing::Sender;
use store::delivery::orphaned;
use store::instances::{self, Instance, RENEW_INTERVAL};
use store::redelivery::jobs;
use store::{Store, StoreError, clock};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::consumer::prefetch::PrefetchPlan;
use crate::consumer::worker::{Worker, WorkerServices};
use crate::telemetry::{self, Operation};
use crate::webhook_cache::{WebhookCache, WebhookConfig};
use assigned_webhook::{AssignedWebhook, RoleAction, Serving, decide_role};
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

/// The webhooks of this replica.
#[derive(Debug)]
pub(crate) struct Assignments {
    store: Store,
    webhooks: Arc<WebhookCache>,
    workers: WorkerServices,
    me: Instance,
    plan: Plan,
    prefetch: PrefetchPlan,
    replicas: Vec<Uuid>,
    assigned: HashMap<WebhookId, AssignedWebhook>,
    closer: GenerationCloser,
    overdue: OverdueSearcher,
    renewals: Throttle,
    standbys: Throttle,
    orphans: Throttle,
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
        store: Store,
        webhooks: Arc<WebhookCache>,
        workers: WorkerServices,
        closer: GenerationCloser,
        me: Instance,
    ) -> Self {
        let now = Instant::now();
        Self {
            overdue: OverdueSearcher::new(store.clone(), now),
            store,
            webhooks,
            workers,
            me,
            plan: Plan::default(),
            prefetch: PrefetchPlan::default(),
            replicas: Vec::new(),
            assigned: HashMap::new(),
            closer,
            renewals: Throttle::open(RENEW_INTERVAL),
            standbys: Throttle::passed_at(STANDBY_INTERVAL, now),
            orphans: Throttle::passed_at(ORPHAN_INTERVAL, now),
        }
    }

    /// Serves until `stop`, then closes all workers and leaves.
    pub(crate) async fn serve(mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.run_pass().await;
            tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(ASSIGN_INTERVAL) => {} }
        }
        for assigned in self.assigned.values() {
            assigned.worker.close();
        }
        if let Err(error) = instances::remove_instance(&self.store, &self.me).await {
            telemetry::report_failed_leave(&error);
        }
    }

    /// Runs one pass. While the database is away, all stays as it is.
    async fn run_pass(&mut self) {
        if let Err(error) = self.webhooks.refresh().await {
            return telemetry::report_retry(Operation::RefreshWebhooks, &error);
        }
        if let Err(error) = self.renew_instance().await {
            return telemetry::report_retry(Operation::RenewInstance, &error);
        }
        let may_start_standbys = self.standbys.try_pass(Instant::now());
        self.assign_webhooks(may_start_standbys);
        self.start_redeliveries().await;
        self.search_overdue_retries().await;
        if self.orphans.try_pass(Instant::now())
            && let Err(error) = self.examine_orphaned().await
        {
            telemetry::report_retry(Operation::FindOrphaned, &error);
        }
    }

    /// Renews the row that shows that this replica lives, and loads the replicas that are alive.
    async fn renew_instance(&mut self) -> Result<(), StoreError> {
        if self.renewals.is_open(Instant::now()) {
            instances::renew_instance(&self.store, &self.me).await?;
            self.replicas = instances::list_alive(&self.store, self.me.service).await?;
            self.renewals.pass(Instant::now());
        }
        Ok(())
    }

    /// Starts redelivery where there is something to redeliver.
    async fn start_redeliveries(&mut self) {
        match jobs::find_webhooks(&self.store).await {
            Ok(webhooks) => webhooks.into_iter().for_each(|webhook| self.start_redelivery(webhook)),
            Err(error) => telemetry::report_retry(Operation::FindRedeliveries, &error),
        }
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
        for webhook in self.overdue.take_found().await {
            self.start_redelivery(webhook);
        }
        let served = self.assigned.iter().map(|(id, assigned)| (*id, assigned.view()));
        self.overdue.start_search(served, Instant::now());
    }

    /// Examines the queues of idle webhooks for which a delivery is due.
    async fn examine_orphaned(&mut self) -> Result<(), StoreError> {
        let idle: Vec<WebhookId> = self
            .assigned
            .iter_mut()
            .filter_map(|(id, assigned)| assigned.has_been_idle().then_some(*id))
            .collect();
        let due_before = clock::now() - TimeDelta::from_std(ORPHAN_INTERVAL).unwrap_or_default();
        for webhook in orphaned::find_webhooks_with_orphans(&self.store, &idle, due_before).await? {
            if let Some(assigned) = self.assigned.get_mut(&webhook) {
                assigned.examine_queue();
            }
        }
        Ok(())
    }

    /// Brings the workers in line with the roles. `may_start_standbys`: the owners have had time to subscribe.
    fn assign_webhooks(&mut self, may_start_standbys: bool) {
        let webhooks = self.webhooks.all_configs();
        let known: HashSet<WebhookId> = webhooks.iter().map(|webhook| webhook.id).collect();
        let all = known.iter().copied().chain(self.webhooks.unreadable_ids()).collect();
        self.plan.update(&self.replicas, all);
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
        telemetry::report_assignments(self.replicas.len(), owned, standby);
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
