//! Which webhooks this replica serves: found anew from the database every half second, and carried
//! out. A lost notice costs nothing, for there are none.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::ids::WebhookId;
use domain::ownership::{Role, role};
use domain::webhook::WebhookStatus;
use store::instances::{self, Instance, RENEW_EVERY};
use store::{Store, settle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::directory::{Directory, Target};
use crate::events;
use crate::lane::Limits;
use crate::worker::{Shared, Worker};

/// How often the configuration is looked at: so soon a new webhook is served and a paused one rests.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// A standby that finds itself active steps back at most this often: the owner may be unable to
/// serve, and someone must.
const STEP_BACK_EVERY: Duration = Duration::from_secs(30);

/// The webhooks of this replica.
pub(crate) struct Fleet {
    store: Store,
    directory: Arc<Directory>,
    shared: Arc<Shared>,
    me: Instance,
    members: Vec<Uuid>,
    renewed: Option<Instant>,
    workers: HashMap<WebhookId, Served>,
    /// Standbys that subscribe at the next renewal, after the owners.
    settling: HashSet<WebhookId>,
}

struct Served {
    worker: Worker,
    role: Role,
    stepped_back: Instant,
}

impl Fleet {
    pub(crate) fn new(store: Store, directory: Arc<Directory>, shared: Arc<Shared>, me: Instance) -> Self {
        Self {
            store,
            directory,
            shared,
            me,
            members: Vec::new(),
            renewed: None,
            workers: HashMap::new(),
            settling: HashSet::new(),
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
            events::step_failed("leave", &error);
        }
    }

    /// One look at configuration and members. When the database is away, all stays as it is.
    async fn look(&mut self) {
        if let Err(error) = self.directory.refresh().await {
            return events::step_failed("refresh", &error);
        }
        let renew = self.renewed.is_none_or(|at| at.elapsed() >= RENEW_EVERY);
        if renew {
            match self.renew().await {
                Ok(members) => self.members = members,
                Err(error) => return events::step_failed("renew", &error),
            }
            self.renewed = Some(Instant::now());
        }
        self.share_out(renew);
    }

    async fn renew(&self) -> Result<Vec<Uuid>, store::StoreError> {
        instances::renew(&self.store, &self.me).await?;
        instances::alive(&self.store, self.me.service).await
    }

    /// Brings the workers in line with the roles. `renewed` tells that time has passed since the
    /// last round, so that owners have subscribed and standbys may.
    fn share_out(&mut self, renewed: bool) {
        let targets = self.directory.all();
        let (mut owned, mut standby) = (0, 0);
        let known: HashSet<WebhookId> = targets.iter().map(|target| target.id).collect();
        for target in &targets {
            let role = role(self.me.id, &self.members, target.id);
            match role {
                Role::Owner => owned += 1,
                Role::Standby => standby += 1,
                Role::Bystander => {}
            }
            self.play(target, role, renewed);
            if role == Role::Owner && target.is_unsettled() && self.settling.insert(target.id) {
                self.settle(target);
            }
            if !target.is_unsettled() {
                self.settling.remove(&target.id);
            }
        }
        self.workers.retain(|id, served| {
            known.contains(id) || {
                served.worker.close();
                false
            }
        });
        self.settling.retain(|id| known.contains(id));
        events::share(self.members.len(), owned, standby);
    }

    /// Starts, keeps or stops the worker of one webhook.
    fn play(&mut self, target: &Target, role: Role, renewed: bool) {
        let limits =
            Limits { max_concurrency: target.max_concurrency, rate_per_second: target.rate_per_second };
        if let Some(served) = self.workers.get_mut(&target.id) {
            if served.keeps(role, limits, renewed) {
                return;
            }
            served.worker.close();
            self.workers.remove(&target.id);
            // A standby comes back at the next renewal, behind the owner.
            if role != Role::Owner {
                return;
            }
        }
        if role == Role::Owner || (role == Role::Standby && renewed) {
            let worker = Worker::start(Arc::clone(&self.shared), target.id, limits, role == Role::Owner);
            self.workers.insert(target.id, Served { worker, role, stepped_back: Instant::now() });
        }
    }

    /// Settles what waited for a webhook that stopped receiving, in the background; of a deleted
    /// one the queue goes, too. Whatever is interrupted is found again.
    fn settle(&self, target: &Arc<Target>) {
        let (store, shared, target) = (self.store.clone(), Arc::clone(&self.shared), Arc::clone(target));
        let directory = Arc::clone(&self.directory);
        self.shared.tracker.spawn(async move {
            if let Err(error) = settle_target(&store, &shared, &target).await {
                events::step_failed("settle", error.as_ref());
            }
            if let Err(error) = directory.refresh().await {
                events::step_failed("refresh", &error);
            }
        });
    }
}

impl Served {
    /// Whether the worker stays as it is. A standby that the broker made active although it was
    /// second steps back, so that the owner comes first.
    fn keeps(&mut self, role: Role, limits: Limits, renewed: bool) -> bool {
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
        let misplaced = renewed && self.worker.was_active() && self.stepped_back.elapsed() > STEP_BACK_EVERY;
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
    events::settled(target.id, settled);
    Ok(())
}
