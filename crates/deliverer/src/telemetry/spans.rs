//! Names the delivery that a log line is about.
//!
//! Each line about a delivery carries its webhook, event and attempt as fields of the span `delivery`. A span formats
//! its fields when it is created, which would cost a replica thousands of useless strings a second. So only the ids
//! travel with the task, and the span is created when a line is emitted.

use domain::ids::{EventId, WebhookId};
use tokio::task::futures::TaskLocalFuture;
use tracing::{Span, error_span};

tokio::task_local! {
    /// The delivery that the task handles.
    static DELIVERY: DeliveryIds;
}

/// The ids by which the log identifies a delivery's attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeliveryIds {
    pub(crate) webhook: WebhookId,
    pub(crate) event: EventId,
    /// Which attempt of the round it is, from 1.
    pub(crate) attempt: u32,
}

impl DeliveryIds {
    fn open_span(self) -> Span {
        // At the highest level, because a span that the log filter leaves out carries no fields.
        error_span!("delivery", webhook = %self.webhook, event = %self.event, attempt = self.attempt)
    }
}

/// Runs a future whose log lines are about a delivery.
pub(crate) fn within_delivery<F: Future>(ids: DeliveryIds, future: F) -> TaskLocalFuture<DeliveryIds, F> {
    DELIVERY.scope(ids, future)
}

/// Emits a log line, in the span of the delivery that the task handles, if it handles one.
pub(crate) fn emit_line(emit: impl FnOnce()) {
    match DELIVERY.try_with(|ids| ids.open_span()) {
        Ok(span) => span.in_scope(emit),
        Err(_) => emit(),
    }
}

/// Opens the span of the work for one webhook.
pub(crate) fn webhook_span(webhook: WebhookId) -> Span {
    error_span!("webhook", %webhook)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::warn;
    use uuid::Uuid;

    use super::*;

    /// Collects log lines.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Log {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
        }
    }

    fn ids() -> DeliveryIds {
        DeliveryIds {
            webhook: WebhookId(Uuid::from_u128(7)),
            event: "01F2SFVYVD0H873S2VRT8VQSPM".parse().expect("an id"),
            attempt: 3,
        }
    }

    /// Runs `emit` under a subscriber that keeps lines of this level and above, and returns them.
    async fn logged(max_level: tracing::Level, run: impl Future<Output = ()>) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(max_level)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        run.await;
        drop(guard);
        log.text()
    }

    #[tokio::test]
    async fn a_line_about_a_delivery_carries_webhook_event_and_attempt() {
        let work = within_delivery(ids(), async { emit_line(|| warn!("something failed")) });
        let line = logged(tracing::Level::WARN, work).await;
        for field in
            ["webhook=00000000-0000-0000-0000-000000000007", "event=01F2SFVYVD0H873S2VRT8VQSPM", "attempt=3"]
        {
            assert!(line.contains(field), "{field} in {line:?}");
        }
    }

    #[tokio::test]
    async fn a_line_outside_of_a_delivery_has_no_span() {
        let line = logged(tracing::Level::WARN, async { emit_line(|| warn!("something failed")) }).await;
        assert!(line.contains("something failed") && !line.contains("webhook"), "{line:?}");
    }

    #[tokio::test]
    async fn the_ids_survive_a_pause_of_the_task_and_end_with_it() {
        let work = async {
            within_delivery(ids(), tokio::task::yield_now()).await;
            emit_line(|| warn!("after it"));
        };
        assert!(!logged(tracing::Level::WARN, work).await.contains("event="));
    }
}
