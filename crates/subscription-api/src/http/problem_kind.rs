//! The kinds of error responses: the member `type` of a problem, and a section of the page `/docs/errors`.

use axum::http::StatusCode;

/// Declares the kinds with status, slug and title.
macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $slug:literal, $title:literal;)+) => {
        /// Kind of a problem. Clients may switch on its `type`, which never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemKind { $($(#[$doc])* $name),+ }

        impl ProblemKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The HTTP status of every problem of this kind.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),+ }
            }

            /// The URI reference that identifies the kind, with the slug as its fragment. It is relative, so that it holds
            /// behind every host name of the API.
            #[must_use]
            pub const fn type_uri(self) -> &'static str {
                match self { $(Self::$name => concat!("/docs/errors#", $slug)),+ }
            }

            /// The kind in a few words, the same in every response.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),+ }
            }
        }
    };
}

kinds! {
    /// The body is no JSON in UTF-8, or did not arrive as a whole
    InvalidBody = BAD_REQUEST, "invalid-body", "Invalid body";
    /// A query parameter, a cursor or a header has an invalid value
    InvalidParameter = BAD_REQUEST, "invalid-parameter", "Invalid parameter";
    /// There is no readable token in the request
    TokenMissing = UNAUTHORIZED, "token-missing", "Token missing";
    /// The token does not exist (any more)
    TokenInvalid = UNAUTHORIZED, "token-invalid", "Token not valid";
    /// The token may read, and the request needs `write`
    WriteRoleRequired = FORBIDDEN, "write-role-required", "Role write required";
    /// The token belongs to a brand, and the request is for support
    SupportRequired = FORBIDDEN, "support-required", "Support token required";
    /// The path or the resource does not exist for this caller
    NotFound = NOT_FOUND, "not-found", "Not found";
    /// The path exists without this method
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed";
    /// The body arrived too slowly
    RequestTimeout = REQUEST_TIMEOUT, "request-timeout", "Request timeout";
    /// The resource is in a state that does not allow the request
    Conflict = CONFLICT, "conflict", "Conflict";
    /// A resource with this id exists
    AlreadyExists = CONFLICT, "already-exists", "Already exists";
    /// The event type belongs to the platform
    BuiltIn = CONFLICT, "built-in", "Built-in event type";
    /// Another resource refers to the one to delete
    InUse = CONFLICT, "in-use", "Still in use";
    /// As many resources exist as are allowed
    LimitReached = CONFLICT, "limit-reached", "Limit reached";
    /// Only support can enable the webhook
    WebhookDisabled = CONFLICT, "webhook-disabled", "Webhook disabled";
    /// The request needs a webhook that is active
    WebhookNotActive = CONFLICT, "webhook-not-active", "Webhook not active";
    /// Another redelivery job of the webhook runs
    RedeliveryRunning = CONFLICT, "redelivery-running", "Redelivery running";
    /// The body exceeds the limit
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body-too-large", "Body too large";
    /// The body has another media type than JSON
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type";
    /// Fields of the body are not valid
    InvalidFields = UNPROCESSABLE_ENTITY, "invalid-fields", "Invalid fields";
    /// The token exceeds its rate
    TokenRate = TOO_MANY_REQUESTS, "token-rate", "Too many requests with this token";
    /// The brand has too many requests in flight
    BrandBusy = TOO_MANY_REQUESTS, "brand-busy", "Too many requests of this brand at once";
    /// The brand exceeds a quota
    QuotaExceeded = TOO_MANY_REQUESTS, "quota-exceeded", "Quota exceeded";
    /// A fault of the platform
    InternalError = INTERNAL_SERVER_ERROR, "internal-error", "Internal error";
    /// The database or the broker does not answer
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable";
    /// Another request changes the same resource
    ResourceLocked = SERVICE_UNAVAILABLE, "resource-locked", "Resource is being changed";
    /// The API serves as many requests as it can
    Overloaded = SERVICE_UNAVAILABLE, "overloaded", "Overloaded";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page that explains the kinds.
    const SOURCE: &str = include_str!("../../docs/errors.md");

    fn slug(kind: ProblemKind) -> &'static str {
        let (page, slug) = kind.type_uri().split_once('#').expect("a fragment");
        assert_eq!(page, "/docs/errors");
        slug
    }

    /// Returns heading and text of each section of the page.
    fn sections() -> Vec<(&'static str, &'static str)> {
        let parts = SOURCE.split("\n### ").skip(1);
        parts.map(|part| part.split_once('\n').expect("a text")).collect()
    }

    #[test]
    fn every_kind_has_a_section_and_every_section_a_kind() {
        let mut kinds: Vec<&str> = ProblemKind::ALL.iter().map(|kind| slug(*kind)).collect();
        let mut headings: Vec<&str> = sections().iter().map(|(heading, _)| *heading).collect();
        kinds.sort_unstable();
        headings.sort_unstable();
        assert_eq!(headings, kinds);
    }

    #[test]
    fn sections_say_what_to_do_and_show_the_title_and_the_status() {
        for (heading, text) in sections() {
            let kind = *ProblemKind::ALL.iter().find(|kind| slug(**kind) == heading).expect("a kind");
            let status = kind.status().as_u16();
            for part in [
                format!("**{status}** {}", kind.title()),
                "**When:** ".to_owned(),
                "**What to do:** ".to_owned(),
                format!("\"type\": \"{}\"", kind.type_uri()),
                format!("\"title\": \"{}\"", kind.title()),
                format!("\"status\": {status}"),
            ] {
                assert!(text.contains(&part), "{heading}: {part}");
            }
        }
    }
}
