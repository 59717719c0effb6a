//! Caches the webhooks of the platform: the cache holds all that an attempt needs of one.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use domain::admission::WebhookView;
use domain::delivery::DeliveryStatus;
use domain::ids::{BrandId, WebhookId};
use domain::time::Timestamp;
use domain::webhook::WebhookStatus;
use domain::webhook::endpoint::Endpoint;
use domain::webhook::signature::{Keys, Signer};
use http::{HeaderMap, HeaderName, HeaderValue};
use store::routing::configuration::{DeliveryChange, NO_VERSION, load_delivery_changes};
use store::secrets::keyring::SecretKeyring;
use store::{Store, StoreError};
use tokio::sync::Mutex;

use crate::limiter::Limits;
use crate::telemetry;

/// The configuration of a webhook, prepared for requests.
#[derive(Debug)]
pub(crate) struct WebhookConfig {
    pub(crate) id: WebhookId,
    pub(crate) brand_id: BrandId,
    pub(crate) endpoint: Endpoint,
    pub(crate) headers: HeaderMap,
    pub(crate) status: WebhookStatus,
    /// Grows with each change of the webhook's status.
    pub(crate) generation: i32,
    /// The generation before which all deliveries are closed.
    pub(crate) closed_generation: i32,
    /// The status that pending deliveries of ended generations get.
    pub(crate) closes_as: DeliveryStatus,
    pub(crate) limits: Limits,
    pub(crate) signers: Vec<Signer>,
    /// The signers before the last rotation, and until when they count.
    pub(crate) previous_signers: Option<(Vec<Signer>, Timestamp)>,
}

/// The cache of all webhooks that are not closed for good.
#[derive(Debug)]
pub(crate) struct WebhookCache {
    store: Store,
    keyring: SecretKeyring,
    version: Mutex<i64>,
    webhooks: RwLock<Webhooks>,
}

#[derive(Debug, Default)]
struct Webhooks {
    known: HashMap<WebhookId, Arc<WebhookConfig>>,
    /// Webhooks that exist and that this process cannot read. Another replica may have the master key of their secrets.
    unreadable: HashSet<WebhookId>,
}

/// A webhook as the cache has it.
#[derive(Debug, Clone)]
pub(crate) enum CachedWebhook {
    /// Its configuration is known.
    Known(Arc<WebhookConfig>),
    /// It exists, and this process cannot read it.
    Unreadable,
    /// It was deleted and all of its deliveries are closed, or it is newer than the cache.
    Gone,
}

impl CachedWebhook {
    /// Returns what the decision about a delivery depends on.
    pub(crate) fn view(&self) -> WebhookView {
        match self {
            Self::Known(webhook) => WebhookView::Known {
                generation: webhook.generation,
                closed_generation: webhook.closed_generation,
                status: webhook.status,
                closes_as: webhook.closes_as,
            },
            Self::Unreadable => WebhookView::Unreadable,
            Self::Gone => WebhookView::Gone,
        }
    }

    /// Returns the configuration, if it is known.
    pub(crate) fn config(self) -> Option<Arc<WebhookConfig>> {
        match self {
            Self::Known(webhook) => Some(webhook),
            Self::Unreadable | Self::Gone => None,
        }
    }
}

impl WebhookConfig {
    /// Whether pending deliveries of ended generations are not closed yet.
    pub(crate) fn has_open_generations(&self) -> bool {
        self.closed_generation < self.generation
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.status == WebhookStatus::Deleted
    }
}

impl TryFrom<DeliveryChange> for WebhookConfig {
    type Error = StoreError;

    fn try_from(change: DeliveryChange) -> Result<Self, StoreError> {
        let unreadable = |what: String| StoreError::Unreadable(format!("webhook {}: {what}", change.id));
        let endpoint =
            Endpoint::from_stored(&change.endpoint).map_err(|error| unreadable(error.to_string()))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &change.headers.0 {
            let name = HeaderName::from_str(name).map_err(|error| unreadable(error.to_string()))?;
            let mut value =
                HeaderValue::from_bytes(value.as_bytes()).map_err(|error| unreadable(error.to_string()))?;
            // Its `Debug` hides the value, and HTTP/2 keeps it out of its tables.
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Self {
            id: change.id,
            brand_id: change.brand_id,
            endpoint,
            headers,
            status: change.status,
            generation: change.generation,
            closed_generation: change.closed_generation,
            closes_as: change.closing_status,
            limits: Limits::new(
                u16::try_from(change.max_concurrency).unwrap_or(1).max(1),
                change.rate_per_second.and_then(|rate| u32::try_from(rate).ok()),
            ),
            signers: change.keys.iter().flat_map(Keys::signers).collect(),
            previous_signers: change.previous_keys.map(|(keys, until)| (keys.signers().collect(), until)),
        })
    }
}

impl WebhookCache {
    pub(crate) fn new(store: Store, keyring: SecretKeyring) -> Self {
        Self { store, keyring, version: Mutex::new(NO_VERSION), webhooks: RwLock::default() }
    }

    /// Loads the webhooks that changed. Callers that come at the same time wait for one another.
    pub(crate) async fn refresh(&self) -> Result<(), StoreError> {
        let mut version = self.version.lock().await;
        let (newer, changes) = load_delivery_changes(&self.store, &self.keyring, *version).await?;
        for (id, change) in changes {
            match change.and_then(WebhookConfig::try_from) {
                Ok(webhook) => self.webhooks_mut().insert(webhook),
                // The other webhooks go on. This one is served again once it can be read.
                Err(error) => {
                    telemetry::report_unreadable_webhook(id, &error);
                    self.webhooks_mut().set_unreadable(id);
                }
            }
        }
        *version = newer;
        Ok(())
    }

    pub(crate) fn find(&self, id: WebhookId) -> CachedWebhook {
        self.webhooks().find(id)
    }

    /// Returns the configuration of a webhook, if it is known.
    pub(crate) fn find_config(&self, id: WebhookId) -> Option<Arc<WebhookConfig>> {
        self.find(id).config()
    }

    pub(crate) fn all_configs(&self) -> Vec<Arc<WebhookConfig>> {
        self.webhooks().known.values().cloned().collect()
    }

    /// Returns the webhooks that this process cannot read. They count when webhooks are assigned, so that all replicas
    /// assign the same.
    pub(crate) fn unreadable_ids(&self) -> Vec<WebhookId> {
        self.webhooks().unreadable.iter().copied().collect()
    }

    #[cfg(test)]
    pub(crate) fn insert(&self, webhook: WebhookConfig) {
        self.webhooks_mut().insert(webhook);
    }

    fn webhooks(&self) -> RwLockReadGuard<'_, Webhooks> {
        self.webhooks.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn webhooks_mut(&self) -> RwLockWriteGuard<'_, Webhooks> {
        self.webhooks.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Webhooks {
    fn find(&self, id: WebhookId) -> CachedWebhook {
        match self.known.get(&id) {
            Some(webhook) => CachedWebhook::Known(Arc::clone(webhook)),
            None if self.unreadable.contains(&id) => CachedWebhook::Unreadable,
            None => CachedWebhook::Gone,
        }
    }

    fn insert(&mut self, webhook: WebhookConfig) {
        self.unreadable.remove(&webhook.id);
        if webhook.is_deleted() && !webhook.has_open_generations() {
            self.known.remove(&webhook.id);
        } else {
            self.known.insert(webhook.id, Arc::new(webhook));
        }
    }

    /// Forgets the last known configuration. Otherwise attempts would use an outdated endpoint and secret.
    fn set_unreadable(&mut self, id: WebhookId) {
        self.known.remove(&id);
        self.unreadable.insert(id);
    }
}

#[cfg(test)]
pub(crate) mod tests;
