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
    /// Reason why a webhook is disabled.
    DisabledReasonWord as DisabledReason = domain::webhook::DisabledReason { Gone, Failing, Unresponsive, Support }
    /// Status of a delivery.
    DeliveryStatusWord as DeliveryStatus = domain::delivery::DeliveryStatus { Pending, Delivered, Failed, Held, Discarded }
    /// Outcome of an attempt.
    OutcomeWord as Outcome = domain::delivery::attempt::Outcome { Delivered, HttpStatus, Timeout, Dns, Connect, Tls, Blocked, Protocol }
    /// Trigger of an attempt.
    TriggerWord as Trigger = domain::delivery::attempt::Trigger { Fresh, Retry, Redeliver, Held, Test }
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
        check::<DisabledReasonWord>(domain::webhook::DisabledReason::ALL.iter().map(|w| w.as_str()));
        assert_eq!(DisabledReasonWord::WORDS.len(), domain::webhook::DisabledReason::ALL.len());
        check::<DeliveryStatusWord>(domain::delivery::DeliveryStatus::ALL.iter().map(|w| w.as_str()));
        assert_eq!(DeliveryStatusWord::WORDS.len(), domain::delivery::DeliveryStatus::ALL.len());
        check::<OutcomeWord>(domain::delivery::attempt::Outcome::ALL.iter().map(|w| w.as_str()));
        assert_eq!(OutcomeWord::WORDS.len(), domain::delivery::attempt::Outcome::ALL.len());
        check::<TriggerWord>(domain::delivery::attempt::Trigger::ALL.iter().map(|w| w.as_str()));
        assert_eq!(TriggerWord::WORDS.len(), domain::delivery::attempt::Trigger::ALL.len());
        check::<SchemeWord>(SchemeWord::WORDS.iter().map(|w| w.as_str()));
        check::<RoleWord>(RoleWord::WORDS.iter().map(|w| w.as_str()));
    }
}
