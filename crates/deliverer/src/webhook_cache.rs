//! The webhooks as they are now, in memory: all that an attempt needs of one.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};

use domain::delivery::DeliveryStatus;
use domain::endpoint::Endpoint;
use domain::ids::WebhookId;
use domain::signature::{self, Signer};
use domain::time::Timestamp;
use domain::webhook::WebhookStatus;
use http::{HeaderMap, HeaderName, HeaderValue};
use store::config::{DeliveryChange, NO_VERSION, delivery_changes};
use store::vault::Vault;
use store::{Store, StoreError};
use tokio::sync::Mutex;

use crate::telemetry;

/// A webhook, made ready for requests.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) id: WebhookId,
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: HeaderMap,
    pub(crate) status: WebhookStatus,
    pub(crate) generation: i32,
    pub(crate) settled_generation: i32,
    pub(crate) settle_as: DeliveryStatus,
    pub(crate) max_concurrency: u16,
    pub(crate) rate_per_second: Option<u32>,
    signers: Vec<Signer>,
    previous: Option<(Vec<Signer>, Timestamp)>,
}

/// Every webhook of the platform that is not long gone.
#[derive(Debug)]
pub(crate) struct Directory {
    store: Store,
    vault: Vault,
    version: Mutex<i64>,
    webhooks: RwLock<Webhooks>,
}

#[derive(Debug, Default)]
struct Webhooks {
    targets: HashMap<WebhookId, Arc<Target>>,
    /// They are there, and this process cannot read them: another may have the master key of their secrets.
    unreadable: HashSet<WebhookId>,
}

/// What is known of a webhook.
#[derive(Debug)]
pub(crate) enum Known {
    /// All that an attempt needs.
    Target(Arc<Target>),
    /// It is there, and this process cannot read it.
    Unreadable,
    /// It was deleted, and nothing waits for it any more.
    Gone,
}

impl Target {
    /// The signatures of one request: of the current keys, and of those before while both count.
    pub(crate) fn sign(&self, id: &str, now: Timestamp, body: &[u8]) -> String {
        let previous =
            self.previous.iter().filter(|(_, until)| now < *until).flat_map(|(signers, _)| signers);
        let signers: Vec<Signer> = self.signers.iter().chain(previous).cloned().collect();
        signature::header(&signers, id, now.timestamp(), body)
    }

    /// What is to be done with a delivery of a generation: `None` for an attempt, else the status
    /// that it ends with.
    pub(crate) fn settles(&self, generation: i32) -> Option<DeliveryStatus> {
        if generation < self.generation { Some(self.settle_as) } else { self.status.settles_waiting_as() }
    }

    /// Whether generations that ended are not settled yet.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.settled_generation < self.generation
    }
}

impl TryFrom<DeliveryChange> for Target {
    type Error = StoreError;

    fn try_from(change: DeliveryChange) -> Result<Self, StoreError> {
        let unreadable = |what: String| StoreError::Unreadable(format!("webhook {}: {what}", change.id));
        let endpoint =
            Endpoint::from_stored(&change.endpoint).map_err(|error| unreadable(error.to_string()))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &change.headers {
            let name = HeaderName::from_str(name).map_err(|error| unreadable(error.to_string()))?;
            let value =
                HeaderValue::from_bytes(value.as_bytes()).map_err(|error| unreadable(error.to_string()))?;
            headers.insert(name, value);
        }
        Ok(Self {
            id: change.id,
            endpoint,
            headers,
            status: change.status,
            generation: change.generation,
            settled_generation: change.settled_generation,
            settle_as: change.settle_as,
            max_concurrency: u16::try_from(change.max_concurrency).unwrap_or(1).max(1),
            rate_per_second: change.rate_per_second.and_then(|rate| u32::try_from(rate).ok()),
            signers: change.keys.signers().collect(),
            previous: change.previous_keys.map(|(keys, until)| (keys.signers().collect(), until)),
        })
    }
}

impl Directory {
    pub(crate) fn new(store: Store, vault: Vault) -> Self {
        Self { store, vault, version: Mutex::new(NO_VERSION), webhooks: RwLock::default() }
    }

    /// Takes in what changed. Several may ask at once: they wait for one look.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        let mut version = self.version.lock().await;
        let (newer, changes) = delivery_changes(&self.store, &self.vault, *version).await?;
        for (id, change) in changes {
            match change.and_then(Target::try_from) {
                Ok(target) => self.put(target),
                // The others go on; this one is delivered again once it can be read.
                Err(error) => {
                    telemetry::webhook_unreadable(&error);
                    self.set_unreadable(id);
                }
            }
        }
        *version = newer;
        Ok(())
    }

    pub(crate) fn find(&self, id: WebhookId) -> Known {
        let webhooks = self.webhooks.read().unwrap_or_else(PoisonError::into_inner);
        match webhooks.targets.get(&id) {
            Some(target) => Known::Target(Arc::clone(target)),
            None if webhooks.unreadable.contains(&id) => Known::Unreadable,
            None => Known::Gone,
        }
    }

    pub(crate) fn get(&self, id: WebhookId) -> Option<Arc<Target>> {
        match self.find(id) {
            Known::Target(target) => Some(target),
            Known::Unreadable | Known::Gone => None,
        }
    }

    pub(crate) fn all(&self) -> Vec<Arc<Target>> {
        self.webhooks.read().unwrap_or_else(PoisonError::into_inner).targets.values().cloned().collect()
    }

    /// Those that this process cannot read. They count when webhooks are shared out, so that all replicas share out
    /// the same.
    pub(crate) fn unreadable(&self) -> Vec<WebhookId> {
        self.webhooks.read().unwrap_or_else(PoisonError::into_inner).unreadable.iter().copied().collect()
    }

    fn put(&self, target: Target) {
        let mut webhooks = self.webhooks.write().unwrap_or_else(PoisonError::into_inner);
        webhooks.unreadable.remove(&target.id);
        let gone = target.status == WebhookStatus::Deleted && !target.is_unsettled();
        if gone {
            webhooks.targets.remove(&target.id);
        } else {
            webhooks.targets.insert(target.id, Arc::new(target));
        }
    }

    /// Its last known state would be attempted with the secret and the endpoint of before, so it is forgotten.
    fn set_unreadable(&self, id: WebhookId) {
        let mut webhooks = self.webhooks.write().unwrap_or_else(PoisonError::into_inner);
        webhooks.targets.remove(&id);
        webhooks.unreadable.insert(id);
    }
}
