//! Which webhooks this replica serves: found anew from the database every half second, and carried
//! out. A lost notice costs nothing, for there are none.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use domain::ids::WebhookId;
use domain::ownership::{Role, Shares};
use domain::webhook::WebhookStatus;
use store::clock;
use store::instances::{self, Instance, RENEW_EVERY};
use store::{Store, redeliveries, settle, stranded};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use uuid::Uuid;

use crate::consumer::worker::{NUDGE_EVERY, Shared, Worker};
use crate::limiter::Limits;
use crate::redelivery;
use crate::telemetry;
use crate::webhook_cache::{Directory, Target};

/// How often the configuration is looked at: so soon a new webhook is served and a paused one rests.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Standbys subscribe at most this often, and not before a replica has run for so long: behind the owners, for
/// the first to subscribe is served.
const STANDBYS_EVERY: Duration = Duration::from_secs(2);
/// A standby that finds itself active steps back at most this often: the owner may be unable to
/// serve, and someone must.
const STEP_BACK_EVERY: Duration = Duration::from_secs(30);
/// A queue is examined at most this often: what is due may wait elsewhere, such as in a broker that
/// has just started.
const EXAMINE_EVERY: Duration = Duration::from_secs(60);
/// How often it is looked whether a retry is overdue for a webhook with a backlog.
const RETRIES_INTERVAL: Duration = Duration::from_secs(1);
/// How often for all others: their retries come by themselves, unless their wait queue stores nothing.
const ALL_RETRIES_INTERVAL: Duration = Duration::from_secs(10);
/// How long overdue these are.
const ALL_OVERDUE_AFTER: TimeDelta = TimeDelta::seconds(5);
/// How often it is looked whether something is due for a webhook that gets nothing.
const STRANDED_EVERY: Duration = Duration::from_secs(10);

/// The webhooks of this replica.
pub(crate) struct Fleet {
    store: Store,
    directory: Arc<Directory>,
    shared: Arc<Shared>,
    me: Instance,
    members: Vec<Uuid>,
    sharing: Sharing,
    renewed: Option<Instant>,
    stranded_looked: Instant,
    retries_looked: Instant,
    retries_look: Option<JoinHandle<Result<Vec<WebhookId>, store::StoreError>>>,
    all_retries_looked: Instant,
    standbys_begun: Instant,
    workers: HashMap<WebhookId, Served>,
    /// Those whose waiting deliveries are being settled, each as long as that runs.
    settling: HashMap<WebhookId, JoinHandle<()>>,
}

/// How the webhooks are shared out, worked out anew when members or webhooks are others.
#[derive(Default)]
struct Sharing {
    members: Vec<Uuid>,
    webhooks: Vec<WebhookId>,
    shares: Shares,
}

struct Served {
    worker: Worker,
    role: Role,
    stepped_back: Instant,
    /// How many messages it had been handed out when it was found to rest last.
    rested_after: Option<usize>,
    examined: Option<Instant>,
    nudged: Option<Instant>,
}

impl Fleet {
    pub(crate) fn new(store: Store, directory: Arc<Directory>, shared: Arc<Shared>, me: Instance) -> Self {
        Self {
            store,
            directory,
            shared,
            me,
            members: Vec::new(),
            sharing: Sharing::default(),
            renewed: None,
            stranded_looked: Instant::now(),
            retries_looked: Instant::now(),
            retries_look: None,
            all_retries_looked: Instant::now(),
            standbys_begun: Instant::now(),
            workers: HashMap::new(),
            settling: HashMap::new(),
        }
    }

    /// Serves until `stop`, then lets go of everything.
    pub(crate) async fn serve(mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            self.look().await;
            tokio::select! { () = stop.cancelled() => {}, () = tokio::time::sleep(LOOK_EVERY) => {} }
        }
        for served in self.workers.values() {
            served.worker.close();
        }
        if let Err(error) = instances::leave(&self.store, &self.me).await {
            telemetry::step_failed("leave", &error);
        }
    }

    /// One look at configuration and members. When the database is away, all stays as it is.
    async fn look(&mut self) {
        if let Err(error) = self.directory.refresh().await {
            return telemetry::step_failed("refresh", &error);
        }
        if self.renewed.is_none_or(|at| at.elapsed() >= RENEW_EVERY) {
            match self.renew().await {
                Ok(members) => self.members = members,
                Err(error) => return telemetry::step_failed("renew", &error),
            }
            self.renewed = Some(Instant::now());
        }
        let standbys = self.standbys_begun.elapsed() >= STANDBYS_EVERY;
        if standbys {
            self.standbys_begun = Instant::now();
        }
        self.share_out(standbys);
        self.catch_up().await;
        self.look_for_retries().await;
        if self.stranded_looked.elapsed() >= STRANDED_EVERY {
            self.stranded_looked = Instant::now();
            if let Err(error) = self.look_for_stranded().await {
                telemetry::step_failed("stranded", &error);
            }
        }
    }

    /// Has those send again what is to be sent again who send what is fresh. Where nobody is known to,
    /// because nothing is fresh, the owner finds out who it is.
    async fn catch_up(&mut self) {
        let waiting = match redeliveries::webhooks(&self.store).await {
            Ok(waiting) => waiting,
            Err(error) => return telemetry::step_failed("redeliveries", &error),
        };
        for id in waiting {
            self.catch_up_with(id);
        }
    }

    fn catch_up_with(&mut self, id: WebhookId) {
        let Some(served) = self.workers.get_mut(&id) else { return };
        if served.worker.is_active() || served.worker.is_cut_off() {
            served.worker.catch_up(&self.shared);
        } else if served.role == Role::Owner {
            served.nudge(&self.shared);
        }
    }

    /// Has those retries attempted from the database whose message has not come: it is behind a backlog, or in no
    /// queue. Where there may be a backlog this is asked every time, elsewhere now and then. It is asked in the
    /// background, because a slow answer would keep this replica from showing that it lives.
    async fn look_for_retries(&mut self) {
        if let Some(looking) = self.retries_look.take_if(|looking| looking.is_finished()) {
            match looking.await {
                Ok(Ok(due)) => due.into_iter().for_each(|id| self.catch_up_with(id)),
                Ok(Err(error)) => telemetry::step_failed("retries", &error),
                Err(stopped) => debug!(error = %stopped, "a look for retries was stopped"),
            }
        }
        if self.retries_look.is_some() || self.retries_looked.elapsed() < RETRIES_INTERVAL {
            return;
        }
        self.retries_looked = Instant::now();
        let all = self.all_retries_looked.elapsed() >= ALL_RETRIES_INTERVAL;
        if all {
            self.all_retries_looked = Instant::now();
        }
        let overdue = if all { ALL_OVERDUE_AFTER } else { redelivery::OVERDUE_AFTER };
        let served = self.workers.iter().filter(|(_, served)| match all {
            true => served.role == Role::Owner || served.worker.is_active(),
            false => served.worker.is_backlogged() || served.worker.is_cut_off(),
        });
        let ids: Vec<WebhookId> = served.map(|(id, _)| *id).collect();
        if !ids.is_empty() {
            let store = self.store.clone();
            let due_before = clock::now() - overdue;
            let looking = async move { stranded::with_retries_due(&store, &ids, due_before).await };
            self.retries_look = Some(tokio::spawn(looking));
        }
    }

    /// Has the queues examined of those webhooks that got nothing since the last look, and for which
    /// something is due.
    async fn look_for_stranded(&mut self) -> Result<(), store::StoreError> {
        let resting: Vec<WebhookId> =
            self.workers.iter_mut().filter_map(|(id, served)| served.rested().then_some(*id)).collect();
        let due_before = clock::now() - TimeDelta::from_std(STRANDED_EVERY).unwrap_or_default();
        for webhook in stranded::among(&self.store, &resting, due_before).await? {
            if let Some(served) = self.workers.get_mut(&webhook) {
                served.examine(&self.shared);
            }
        }
        Ok(())
    }

    async fn renew(&self) -> Result<Vec<Uuid>, store::StoreError> {
        instances::renew(&self.store, &self.me).await?;
        instances::alive(&self.store, self.me.service).await
    }

    /// Brings the workers in line with the roles. `standbys` tells that time has passed since the
    /// last round in which they could begin, so that owners have subscribed and standbys may.
    fn share_out(&mut self, standbys: bool) {
        let targets = self.directory.all();
        let (mut owned, mut standby) = (0, 0);
        let known: HashSet<WebhookId> = targets.iter().map(|target| target.id).collect();
        let all = known.iter().copied().chain(self.directory.unreadable()).collect();
        self.sharing.update(&self.members, all);
        for target in &targets {
            let role = self.sharing.shares.role(self.me.id, target.id);
            match role {
                Role::Owner => owned += 1,
                Role::Standby => standby += 1,
                Role::Bystander => {}
            }
            self.play(target, role, standbys);
            // Anew when one that ended left something to settle: it failed, or the webhook stopped once more.
            let idle = self.settling.get(&target.id).is_none_or(JoinHandle::is_finished);
            if role == Role::Owner && target.is_unsettled() && idle {
                self.settling.insert(target.id, self.settle(target));
            }
        }
        self.workers.retain(|id, served| {
            known.contains(id) || {
                served.worker.close();
                false
            }
        });
        self.settling.retain(|_, settling| !settling.is_finished());
        telemetry::share(self.members.len(), owned, standby);
    }

    /// Starts, keeps or stops the worker of one webhook.
    fn play(&mut self, target: &Target, role: Role, standbys: bool) {
        let limits =
            Limits { max_concurrency: target.max_concurrency, rate_per_second: target.rate_per_second };
        if let Some(served) = self.workers.get_mut(&target.id) {
            if served.keeps(role, limits, standbys) {
                return;
            }
            served.worker.close();
            self.workers.remove(&target.id);
            // A standby comes back in a later round, behind the owner.
            if role != Role::Owner {
                return;
            }
        }
        if role == Role::Owner || (role == Role::Standby && standbys) {
            let worker = Worker::start(Arc::clone(&self.shared), target.id, limits, role == Role::Owner);
            self.workers.insert(target.id, Served::new(worker, role));
        }
    }

    /// Settles what waited for a webhook that stopped receiving, in the background; of a deleted
    /// one the queue goes, too. Whatever is interrupted is found again.
    fn settle(&self, target: &Arc<Target>) -> JoinHandle<()> {
        let (store, shared, target) = (self.store.clone(), Arc::clone(&self.shared), Arc::clone(target));
        let directory = Arc::clone(&self.directory);
        self.shared.tracker.spawn(async move {
            if let Err(error) = settle_target(&store, &shared, &target).await {
                telemetry::step_failed("settle", error.as_ref());
            }
            if let Err(error) = directory.refresh().await {
                telemetry::step_failed("refresh", &error);
            }
        })
    }
}

impl Sharing {
    fn update(&mut self, members: &[Uuid], mut webhooks: Vec<WebhookId>) {
        webhooks.sort_unstable();
        if self.members != members || self.webhooks != webhooks {
            self.shares = Shares::of(members, &webhooks);
            self.members = members.to_vec();
            self.webhooks = webhooks;
        }
    }
}

impl Served {
    fn new(worker: Worker, role: Role) -> Self {
        Self { worker, role, stepped_back: Instant::now(), rested_after: None, examined: None, nudged: None }
    }

    fn examine(&mut self, shared: &Arc<Shared>) {
        if self.examined.is_none_or(|at| at.elapsed() >= EXAMINE_EVERY) {
            self.examined = Some(Instant::now());
            self.worker.examine(shared);
        }
    }

    fn nudge(&mut self, shared: &Arc<Shared>) {
        if self.nudged.is_none_or(|at| at.elapsed() >= NUDGE_EVERY) {
            self.nudged = Some(Instant::now());
            self.worker.nudge(shared);
        }
    }

    /// Whether an owner had nothing to do since this was asked last.
    fn rested(&mut self) -> bool {
        let rests_after = self.worker.rests_after();
        let was = std::mem::replace(&mut self.rested_after, rests_after);
        self.role == Role::Owner && rests_after.is_some() && was == rests_after
    }

    /// Whether the worker stays as it is. A standby that the broker made active although it was
    /// second steps back, so that the owner comes first.
    fn keeps(&mut self, role: Role, limits: Limits, standbys: bool) -> bool {
        if role == Role::Bystander || limits != self.worker.limits() {
            return false;
        }
        let was = std::mem::replace(&mut self.role, role);
        if role == Role::Owner {
            self.worker.promote();
            return true;
        }
        if was == Role::Owner {
            return false;
        }
        let misplaced = standbys && self.worker.is_active() && self.stepped_back.elapsed() > STEP_BACK_EVERY;
        !misplaced
    }
}

async fn settle_target(
    store: &Store,
    shared: &Shared,
    target: &Target,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let settled = settle::settle(store, target.id, target.generation, target.settle_as).await?;
    if target.status == WebhookStatus::Deleted {
        shared.topology.delete_webhook(target.id).await?;
    }
    settle::done(store, target.id, target.generation).await?;
    telemetry::settled(target.id, settled);
    Ok(())
}
