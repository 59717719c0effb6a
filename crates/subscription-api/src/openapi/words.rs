//! The words of enums for the OpenAPI document: statuses, reasons, outcomes, triggers, schemes and roles.
//!
//! Handlers send the words of the domain; the enums here only describe them. A test compares both.

use utoipa::ToSchema;

/// Declares an enum whose variants are the words of a domain enum.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident as $shown:ident = $of:ty { $($variant:ident),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, ToSchema)]
        #[schema(as = $shown, rename_all = "snake_case")]
        #[allow(dead_code, reason = "only the OpenAPI document uses the variants")]
        pub(crate) enum $name { $($variant),+ }

        #[cfg(test)]
        impl $name {
            /// The domain values that the variants describe.
            const WORDS: &[$of] = &[$(<$of>::$variant),+];
        }
    )+};
}

words! {
    /// Status of a webhook.
    WebhookStatusWord as WebhookStatus = domain::webhook::WebhookStatus { Active, Paused, Disabled }
    /// State of a webhook's health.
    HealthStateWord as HealthState = domain::webhook::health_state::HealthState { Healthy, Failing, Resting, Idle, Paused, Disabled }
    /// State of a redelivery job.
    JobStateWord as JobState = domain::redelivery_job::JobState { Running, Finished, Stopped, Cancelled }
    /// Status of a webhook that may be deleted.
    AnyWebhookStatusWord as AnyWebhookStatus = domain::webhook::WebhookStatus { Active, Paused, Disabled, Deleted }
    /// Reason why a webhook is disabled.
    DisabledReasonWord as DisabledReason = domain::webhook::DisabledReason { Gone, Failing, Unresponsive, Support }
    /// Status of a delivery.
    DeliveryStatusWord as DeliveryStatus = domain::delivery::DeliveryStatus { Pending, Delivered, Failed, Held, Discarded }
    /// Outcome of an attempt.
    OutcomeWord as Outcome = domain::delivery::attempt::Outcome { Delivered, HttpStatus, Timeout, Dns, Connect, Tls, Blocked, Protocol }
    /// Trigger of an attempt.
    TriggerWord as Trigger = domain::delivery::attempt::Trigger { Fresh, Retry, Redeliver, Held, Test }
    /// Disposition of an event.
    DispositionWord as Disposition = domain::lookup::Disposition { Routed, NoWebhook, NotEnabled, Rejected }
    /// Result of an event at one webhook.
    LookupResultWord as LookupResult = domain::lookup::LookupResult { Delivered, Failed, Held, Discarded, Retrying, Queued, NotSubscribed, Paused, Disabled, CreatedLater }
    /// Signature scheme.
    SchemeWord as Signature = domain::webhook::signature::Scheme { V1, V1a }
    /// Role of a token.
    RoleWord as Role = store::api::tokens::Role { Read, Write }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use utoipa::PartialSchema;

    #[test]
    fn the_documented_words_are_those_of_the_domain() {
        fn check<T: PartialSchema>(words: impl Iterator<Item = &'static str>) {
            let schema = serde_json::to_value(T::schema()).expect("schema");
            assert_eq!(schema["enum"], json!(words.collect::<Vec<_>>()));
        }
        check::<WebhookStatusWord>(WebhookStatusWord::WORDS.iter().map(|w| w.as_str()));
        check::<HealthStateWord>(HealthStateWord::WORDS.iter().map(|w| w.as_str()));
        assert_eq!(HealthStateWord::WORDS.len(), domain::webhook::health_state::HealthState::ALL.len());
        check::<JobStateWord>(JobStateWord::WORDS.iter().map(|w| w.as_str()));
        assert_eq!(JobStateWord::WORDS.len(), domain::redelivery_job::JobState::ALL.len());
        check::<AnyWebhookStatusWord>(domain::webhook::WebhookStatus::ALL.iter().map(|w| w.as_str()));
        assert_eq!(AnyWebhookStatusWord::WORDS.len(), domain::webhook::WebhookStatus::ALL.len());
        check::<DisabledReasonWord>(domain::webhook::DisabledReason::ALL.iter().map(|w| w.as_str()));
        assert_eq!(DisabledReasonWord::WORDS.len(), domain::webhook::DisabledReason::ALL.len());
        check::<DeliveryStatusWord>(domain::delivery::DeliveryStatus::ALL.iter().map(|w| w.as_str()));
        assert_eq!(DeliveryStatusWord::WORDS.len(), domain::delivery::DeliveryStatus::ALL.len());
        check::<OutcomeWord>(domain::delivery::attempt::Outcome::ALL.iter().map(|w| w.as_str()));
        assert_eq!(OutcomeWord::WORDS.len(), domain::delivery::attempt::Outcome::ALL.len());
        check::<TriggerWord>(domain::delivery::attempt::Trigger::ALL.iter().map(|w| w.as_str()));
        assert_eq!(TriggerWord::WORDS.len(), domain::delivery::attempt::Trigger::ALL.len());
        check::<DispositionWord>(domain::lookup::Disposition::ALL.iter().map(|w| w.as_str()));
        assert_eq!(DispositionWord::WORDS.len(), domain::lookup::Disposition::ALL.len());
        check::<LookupResultWord>(domain::lookup::LookupResult::ALL.iter().map(|w| w.as_str()));
        assert_eq!(LookupResultWord::WORDS.len(), domain::lookup::LookupResult::ALL.len());
        check::<SchemeWord>(SchemeWord::WORDS.iter().map(|w| w.as_str()));
        check::<RoleWord>(RoleWord::WORDS.iter().map(|w| w.as_str()));
    }
}
