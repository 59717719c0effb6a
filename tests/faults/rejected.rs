//! The queue of rejected messages, as the judge reads it.

use std::time::Duration;

use e2e::rabbit::REJECTED_QUEUE;
use e2e::raw_amqp::RawClient;
use http::Method;

use crate::claims::{MAX_SHOWN_BYTES, Refusal};
use crate::world::World;

/// Items on a page of rejected messages.
const PAGE: usize = 20;
/// How long the page may take; some of its messages are large.
const PAGE_TIMEOUT: Duration = Duration::from_secs(60);

impl World {
    /// Takes all messages out of the queue of rejected messages. A valid event among them no longer has to
    /// arrive.
    pub(crate) async fn take_rejected(&self, into: &mut Vec<Refusal>) {
        let queue = format!("{}.{REJECTED_QUEUE}", self.platform.namespace);
        let mut client = RawClient::connect(&self.broker.url()).await.expect("the broker");
        while let Some(message) = client.get(&queue).await.expect("the list of rejected messages") {
            let refusal = Refusal::read(&message);
            if let Some(id) = &refusal.id {
                self.ledger.dispute_event(id);
            }
            into.push(refusal);
            client.ack(&message).await.expect("the broker");
        }
    }

    /// Asks the API for the rejected messages. Returns a complaint when it does not answer properly.
    pub(crate) async fn rejected_are_listed(&self) -> Option<String> {
        let support = self.support();
        let path = format!("/admin/v1/rejected?limit={PAGE}");
        let asking = support.try_send(Method::GET, &path, None);
        match tokio::time::timeout(PAGE_TIMEOUT, asking).await {
            Ok(Ok(answer)) if answer.status == 200 => None,
            Ok(Ok(answer)) => {
                let start: String = answer.text.chars().take(MAX_SHOWN_BYTES).collect();
                Some(format!("{path}: {} {start}", answer.status))
            }
            Ok(Err(error)) => Some(error),
            Err(_) => Some(format!("{path}: no answer")),
        }
    }
}
