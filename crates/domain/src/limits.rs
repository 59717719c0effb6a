//! The limits of the contract, each with its value in one place.

/// Maximum size of the body of an event message (contract §2).
pub const MAX_EVENT_BODY_BYTES: usize = 256 * 1024;
/// Maximum length of an AMQP `message_id` that identifies an event (contract §2).
pub const MAX_MESSAGE_ID_CHARS: usize = 128;
/// Maximum length of an event's `key` (contract §2).
pub const MAX_EVENT_KEY_CHARS: usize = 128;
/// Maximum size of the text that explains a rejection (contract §2), because it travels in a header.
pub const MAX_REJECT_DETAIL_BYTES: usize = 1024;
/// Maximum time by which `created` may be ahead of the router's clock (contract §2).
pub const MAX_CREATED_AHEAD_SECONDS: i64 = 5 * 60;
/// Maximum length of a brand id (contract §1).
pub const MAX_BRAND_ID_CHARS: usize = 64;
/// Maximum length of an event type (contract §1).
pub const MAX_EVENT_TYPE_CHARS: usize = 128;
/// Maximum number of segments of an event type (contract §1).
pub const MAX_EVENT_TYPE_SEGMENTS: usize = 8;
/// Maximum length of an endpoint URL (contract §4).
pub const MAX_ENDPOINT_CHARS: usize = 2048;
/// Maximum number of types or groups that one webhook subscribes to.
pub const MAX_WEBHOOK_EVENTS: usize = 100;
/// Maximum length of a description, a name or another text that people write.
pub const MAX_TEXT_CHARS: usize = 1024;
/// Maximum number of custom headers of a webhook (contract §4).
pub const MAX_CUSTOM_HEADERS: usize = 20;
/// Maximum size of the names and values of all custom headers of a webhook together (contract §4).
pub const MAX_CUSTOM_HEADERS_BYTES: usize = 4096;
/// Maximum number of requests in flight to one endpoint, unless the webhook sets another one (contract §4).
pub const DEFAULT_MAX_CONCURRENCY: i32 = 10;
/// Maximum value of `maxConcurrency` (contract §4).
pub const MAX_CONCURRENCY: i32 = 100;
/// Maximum value of `ratePerSecond` (contract §4).
pub const MAX_RATE_PER_SECOND: i32 = 10_000;
/// Maximum size of the part of a response body that is read (contract §3).
pub const MAX_RESPONSE_READ_BYTES: usize = 16 * 1024;
/// Maximum size of the part of a response body that is stored with the attempt (contract §3).
pub const MAX_RESPONSE_KEPT_BYTES: usize = 4 * 1024;
/// Maximum size of the response headers that are stored with the attempt (contract §4).
pub const MAX_RESPONSE_HEADERS_KEPT_BYTES: usize = 4 * 1024;
/// Maximum value of `overlapSeconds` in a secret rotation, one week (contract §4).
pub const MAX_ROTATION_OVERLAP_SECONDS: i32 = 7 * 24 * 3600;
/// Value of `overlapSeconds` in a secret rotation, unless the request sets another one (contract §4).
pub const DEFAULT_ROTATION_OVERLAP_SECONDS: i32 = 24 * 3600;
/// Number of items on a list page, unless the request sets another one (contract §4).
pub const DEFAULT_PAGE_SIZE: u32 = 100;
/// Maximum number of items on a list page (contract §4).
pub const MAX_PAGE_SIZE: u32 = 1000;
/// Maximum number of webhooks of one brand, which bounds the fan-out of one event.
///
/// Deleted webhooks do not count.
pub const MAX_WEBHOOKS_PER_BRAND: i64 = 1000;

const _: () = assert!(MAX_RESPONSE_KEPT_BYTES <= MAX_RESPONSE_READ_BYTES);
const _: () = assert!(DEFAULT_PAGE_SIZE <= MAX_PAGE_SIZE);
const _: () = assert!(DEFAULT_MAX_CONCURRENCY <= MAX_CONCURRENCY);
const _: () = assert!(DEFAULT_ROTATION_OVERLAP_SECONDS <= MAX_ROTATION_OVERLAP_SECONDS);
