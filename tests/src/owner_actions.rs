//! Actions of an endpoint owner after an outage, or to try a webhook: redelivery, test events, a new secret.

use std::time::Duration;

use serde_json::{Value, json};

use crate::WAIT_TIMEOUT;
use crate::brand::{Brand, Webhook};
use crate::poll::eventually;

/// A redelivery of a range.
#[derive(Debug)]
pub struct RedeliveryJob {
    /// The path of its progress.
    pub path: String,
    /// The answer of the API, with `jobId` and `queued`.
    pub json: Value,
}

impl Brand {
    /// Requests one more delivery of an event.
    ///
    /// # Panics
    /// When it is not queued.
    pub async fn redeliver_event(&self, webhook: &Webhook, event: &str) {
        let path = self.webhook_path(webhook, &format!("/events/{event}/redeliver"));
        let answer = self.api.post(&path, &json!({})).await.expect_status(202).json();
        assert_eq!(answer, json!({"queued": 1}));
    }

    /// Requests the redelivery of a range, `{"from","to","status"?,"type"?}`.
    ///
    /// # Panics
    /// When the API rejects it, or the answer does not contain the path of its progress.
    pub async fn redeliver_range(&self, webhook: &Webhook, range: &Value) -> RedeliveryJob {
        let answer = self.api.post(&self.webhook_path(webhook, "/redeliver"), range).await.expect_status(202);
        let json = answer.json();
        let id = json["jobId"].as_str().unwrap_or_else(|| panic!("no jobId in {json}"));
        let path = self.webhook_path(webhook, &format!("/redeliver/{id}"));
        let location = answer.headers["location"].to_str().expect("text");
        assert!(location.ends_with(&path), "{location}");
        RedeliveryJob { path, json }
    }

    /// Reads the progress of a range.
    pub async fn read_progress(&self, job: &RedeliveryJob) -> Value {
        self.api.get(&job.path).await.expect_status(200).json()
    }

    /// Waits until a range is in this state, and returns its progress.
    pub async fn wait_job(&self, job: &RedeliveryJob, state: &str, within: Duration) -> Value {
        eventually(&format!("the range is {state}"), within, async || {
            let progress = self.read_progress(job).await;
            if progress["state"] == state { Ok(progress) } else { Err(progress.to_string()) }
        })
        .await
    }

    /// Waits until a range is finished, as long as it makes progress, and returns its progress.
    ///
    /// # Panics
    /// When its progress stops.
    pub async fn wait_job_finished(&self, job: &RedeliveryJob) -> Value {
        let mut progress = self.read_progress(job).await;
        while progress["state"] == "running" {
            let next = eventually("the redelivery makes progress", WAIT_TIMEOUT, async || {
                let next = self.read_progress(job).await;
                if next == progress { Err(next.to_string()) } else { Ok(next) }
            });
            progress = next.await;
        }
        assert_eq!(progress["state"], "finished", "{progress}");
        progress
    }

    /// Sends a test event, and returns its id.
    ///
    /// # Panics
    /// When it is not queued.
    pub async fn send_test(&self, webhook: &Webhook, body: &Value) -> String {
        let answer =
            self.api.post(&self.webhook_path(webhook, "/test"), body).await.expect_status(202).json();
        answer["eventId"].as_str().unwrap_or_else(|| panic!("no eventId in {answer}")).to_owned()
    }

    /// Draws a new secret.
    pub async fn rotate_secret(&self, webhook: &Webhook, body: &Value) -> Value {
        self.api.post(&self.webhook_path(webhook, "/secret/rotate"), body).await.expect_status(200).json()
    }

    /// Reads the current secret.
    ///
    /// # Panics
    /// When the answer contains none.
    pub async fn read_secret(&self, webhook: &Webhook) -> String {
        let answer = self.api.get(&self.webhook_path(webhook, "/secret")).await.expect_status(200).json();
        answer["secret"].as_str().unwrap_or_else(|| panic!("no secret in {answer}")).to_owned()
    }

    /// Returns the triggers of an event's attempts, in order.
    pub async fn list_triggers(&self, webhook: &Webhook, event: &str) -> Vec<String> {
        let attempts = self.list_attempts(webhook, event).await;
        attempts.iter().map(|attempt| attempt["trigger"].as_str().unwrap_or("").to_owned()).collect()
    }
}
