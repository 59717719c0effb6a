//! Judges webhooks whose attempts fail, by the figures that were recorded with the attempts.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::health::{HealthFigures, HealthRule, Unhealthy};
use domain::ids::WebhookId;
use domain::webhook::{DisabledReason, WebhookStatus};
use runtime::retry::Backoff;
use store::clock;
use store::{Store, StoreError, health};
use tokio::sync::Notify;

use crate::telemetry;
use crate::webhook_cache::{Directory, Target};

/// Webhooks judged in one statement.
const BATCH: usize = 500;
/// Rest after a batch that was not full: an endpoint that fails all the time would otherwise be judged all the
/// time, and what that costs grows with the window.
const REST: Duration = Duration::from_millis(250);

/// The judge. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    directory: Arc<Directory>,
    rule: HealthRule,
    /// To be looked at; a set, so that a webhook which fails often waits once.
    failing: Mutex<HashSet<WebhookId>>,
    more: Notify,
}

impl Health {
    /// A judge with its task in the background.
    pub(crate) fn start(store: Store, directory: Arc<Directory>, rule: HealthRule) -> Self {
        let health =
            Self(Arc::new(Inner { store, directory, rule, failing: Mutex::default(), more: Notify::new() }));
        runtime::tasks::spawn_essential("health", run(health.clone()));
        health
    }

    /// Asks for a look at a webhook, an attempt of which failed and is recorded.
    pub(crate) fn look_at(&self, webhook: WebhookId) {
        self.0.failing.lock().unwrap_or_else(PoisonError::into_inner).insert(webhook);
        self.0.more.notify_one();
    }

    /// Disables a webhook that said that it is gone.
    pub(crate) async fn gone(&self, target: &Target, reason: DisabledReason) {
        let why = Unhealthy { reason, detail: "The endpoint answered 410 Gone.".to_owned() };
        let mut backoff = Backoff::default();
        while let Err(error) = self.disable(target, &why, None).await {
            telemetry::step_failed("disable", &error);
            backoff.wait().await;
        }
    }

    async fn disable(
        &self,
        target: &Target,
        why: &Unhealthy,
        figures: Option<&HealthFigures>,
    ) -> Result<(), StoreError> {
        if health::disable(&self.0.store, target.id, target.generation, why, figures).await? {
            telemetry::webhook_disabled(target.id, &why.detail);
        }
        // At once, so that no further attempt is made here.
        self.0.directory.refresh().await
    }

    /// Judges those who failed since the last look.
    async fn judge(&self, webhooks: &[WebhookId]) -> Result<(), StoreError> {
        let window = self.0.rule.window;
        for (id, figures) in health::figures(&self.0.store, webhooks, clock::now(), window).await? {
            let (Some(why), Some(target)) = (self.0.rule.judge(&figures), self.0.directory.get(id)) else {
                continue;
            };
            if target.status == WebhookStatus::Active {
                self.disable(&target, &why, Some(&figures)).await?;
            }
        }
        Ok(())
    }

    fn take(&self) -> Vec<WebhookId> {
        let mut failing = self.0.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let batch: Vec<WebhookId> = failing.iter().take(BATCH).copied().collect();
        batch.iter().for_each(|id| {
            failing.remove(id);
        });
        batch
    }
}

async fn run(health: Health) {
    let mut backoff = Backoff::default();
    loop {
        let batch = health.take();
        if batch.is_empty() {
            health.0.more.notified().await;
            continue;
        }
        match health.judge(&batch).await {
            Ok(()) => {
                backoff = Backoff::default();
                if batch.len() < BATCH {
                    tokio::time::sleep(REST).await;
                }
            }
            Err(error) => {
                telemetry::step_failed("judge", &error);
                batch.into_iter().for_each(|id| health.look_at(id));
                backoff.wait().await;
            }
        }
    }
}
