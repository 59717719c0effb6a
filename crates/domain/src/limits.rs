//! The limits of the contract, each in one place, and how they relate.

/// Largest body of an event message, in bytes (contract §2).
pub const EVENT_BODY_BYTES: usize = 256 * 1024;
/// Largest number of characters of an AMQP `message_id` that names an event (contract §2).
pub const MESSAGE_ID_CHARS: usize = 128;
/// Largest text that explains why a message was rejected, in bytes (contract §2): it travels in a header.
pub const REJECT_DETAIL_BYTES: usize = 1024;
/// How far ahead of the router's clock `created` may lie, in seconds (contract §2).
pub const CREATED_AHEAD_SECONDS: i64 = 5 * 60;
/// Largest number of characters of a brand id (contract §1).
pub const BRAND_ID_CHARS: usize = 64;
/// Largest number of characters of an event type (contract §1).
pub const EVENT_TYPE_CHARS: usize = 128;
/// Largest number of segments of an event type (contract §1).
pub const EVENT_TYPE_SEGMENTS: usize = 8;
/// Largest number of characters of an endpoint URL (contract §4).
pub const ENDPOINT_CHARS: usize = 2048;
/// Largest number of types or groups one webhook subscribes to.
pub const WEBHOOK_EVENTS: usize = 100;
/// Largest number of characters of a description, a name or a detail that people write.
pub const TEXT_CHARS: usize = 1024;
/// Largest number of custom headers of a webhook (contract §4).
pub const CUSTOM_HEADERS: usize = 20;
/// Largest size of all custom headers of a webhook together, names and values, in bytes (§4).
pub const CUSTOM_HEADERS_BYTES: usize = 4096;
/// Requests in flight to one endpoint unless the webhook says otherwise (contract §4).
pub const DEFAULT_MAX_CONCURRENCY: i32 = 10;
/// Largest `maxConcurrency` (contract §4).
pub const MAX_CONCURRENCY: i32 = 100;
/// Largest `ratePerSecond` (contract §4).
pub const MAX_RATE_PER_SECOND: i32 = 10_000;
/// How much of a response body is read, in bytes (contract §3).
pub const RESPONSE_READ_BYTES: usize = 16 * 1024;
/// How much of a response body is kept with the attempt, in bytes (contract §3).
pub const RESPONSE_KEPT_BYTES: usize = 4 * 1024;
/// Longest `overlapSeconds` of a secret rotation, one week (contract §4).
pub const ROTATION_OVERLAP_SECONDS: i32 = 7 * 24 * 3600;
/// `overlapSeconds` of a secret rotation unless asked otherwise, one day (contract §4).
pub const DEFAULT_OVERLAP_SECONDS: i32 = 24 * 3600;
/// Items of a list page unless asked otherwise (contract §4).
pub const PAGE_DEFAULT: u32 = 100;
/// Largest page of a list (contract §4).
pub const PAGE_MAX: u32 = 1000;
/// Webhooks one brand may have, deleted ones not counted: bounds the fan-out of one event.
pub const WEBHOOKS_PER_BRAND: i64 = 1000;

const _: () = assert!(RESPONSE_KEPT_BYTES <= RESPONSE_READ_BYTES);
const _: () = assert!(PAGE_DEFAULT <= PAGE_MAX);
const _: () = assert!(DEFAULT_MAX_CONCURRENCY <= MAX_CONCURRENCY);
