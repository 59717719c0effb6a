//! The operations that are retried, as the label `operation` names them.

/// An operation on PostgreSQL or RabbitMQ that is tried again when it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Takes or extends the lease on a webhook's redeliveries.
    ClaimRedelivery,
    /// Records that a webhook's deliveries of ended generations are closed.
    CloseGeneration,
    /// Removes redeliveries from their queue after their attempt.
    CompleteRedelivery,
    /// Handles a message that no webhook's queue took.
    ConsumeUnrouted,
    /// Decodes a message of a webhook's queue. It is not tried again, but rejected.
    DecodeMessage,
    /// Disables a webhook.
    DisableWebhook,
    /// Finds deliveries that have no message in any queue.
    FindOrphaned,
    /// Finds retries whose message has not come.
    FindOverdueRetries,
    /// Finds webhooks with redeliveries.
    FindRedeliveries,
    /// Ends a delivery without an attempt.
    FinishDelivery,
    /// Judges the health of webhooks.
    JudgeHealth,
    /// Announces that this replica leaves. It is not tried again, because the replica's row expires.
    LeaveGroup,
    /// Loads event data that is too large for messages.
    LoadEventData,
    /// Loads a page of redeliveries.
    LoadRedelivery,
    /// Looks up what the database knows of deliveries.
    LookUpDelivery,
    /// Publishes a delivery into a delay queue.
    PublishRetry,
    /// Records attempts.
    RecordAttempts,
    /// Loads changed webhooks into the cache.
    RefreshWebhooks,
    /// Moves a message that is no delivery to the rejected messages.
    RejectMessage,
    /// Releases the lease on a webhook's redeliveries.
    ReleaseRedelivery,
    /// Renews the row that shows that this replica lives.
    RenewInstance,
    /// Recreates a queue that RabbitMQ lost.
    RepairQueue,
    /// Publishes an orphaned delivery into its webhook's queue.
    RequeueDelivery,
}

impl Operation {
    /// All of them, so that each counter exists before its first failure.
    pub(crate) const ALL: [Self; 23] = [
        Self::ClaimRedelivery,
        Self::CloseGeneration,
        Self::CompleteRedelivery,
        Self::ConsumeUnrouted,
        Self::DecodeMessage,
        Self::DisableWebhook,
        Self::FindOrphaned,
        Self::FindOverdueRetries,
        Self::FindRedeliveries,
        Self::FinishDelivery,
        Self::JudgeHealth,
        Self::LeaveGroup,
        Self::LoadEventData,
        Self::LoadRedelivery,
        Self::LookUpDelivery,
        Self::PublishRetry,
        Self::RecordAttempts,
        Self::RefreshWebhooks,
        Self::RejectMessage,
        Self::ReleaseRedelivery,
        Self::RenewInstance,
        Self::RepairQueue,
        Self::RequeueDelivery,
    ];

    /// Returns the value of the label.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ClaimRedelivery => "claim_redelivery",
            Self::CloseGeneration => "close_generation",
            Self::CompleteRedelivery => "complete_redelivery",
            Self::ConsumeUnrouted => "consume_unrouted",
            Self::DecodeMessage => "decode_message",
            Self::DisableWebhook => "disable_webhook",
            Self::FindOrphaned => "find_orphaned",
            Self::FindOverdueRetries => "find_overdue_retries",
            Self::FindRedeliveries => "find_redeliveries",
            Self::FinishDelivery => "finish_delivery",
            Self::JudgeHealth => "judge_health",
            Self::LeaveGroup => "leave_group",
            Self::LoadEventData => "load_event_data",
            Self::LoadRedelivery => "load_redelivery",
            Self::LookUpDelivery => "look_up_delivery",
            Self::PublishRetry => "publish_retry",
            Self::RecordAttempts => "record_attempts",
            Self::RefreshWebhooks => "refresh_webhooks",
            Self::RejectMessage => "reject_message",
            Self::ReleaseRedelivery => "release_redelivery",
            Self::RenewInstance => "renew_instance",
            Self::RepairQueue => "repair_queue",
            Self::RequeueDelivery => "requeue_delivery",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_label_is_its_variant_in_snake_case_and_distinct() {
        let snake_case = |operation: &Operation| {
            let mut words = String::new();
            for letter in format!("{operation:?}").chars() {
                if letter.is_uppercase() && !words.is_empty() {
                    words.push('_');
                }
                words.extend(letter.to_lowercase());
            }
            words
        };
        let labels: Vec<String> = Operation::ALL.iter().map(snake_case).collect();
        assert_eq!(labels, Operation::ALL.map(Operation::as_str));
        let distinct: HashSet<&String> = labels.iter().collect();
        assert_eq!(distinct.len(), labels.len());
    }
}
