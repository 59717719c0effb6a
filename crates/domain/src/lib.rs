//! Nouns and rules of Postrider: what an event, a webhook, a delivery and an attempt are, and what
//! follows from what.
//!
//! Nothing here does I/O or reads a clock: every function is reproducible from its inputs. Time
//! comes in as a [`chrono::DateTime<Utc>`], randomness only where a fresh id or secret is drawn.

pub mod address;
pub mod admission;
pub mod catalogue;
pub mod delivery;
pub mod endpoint;
pub mod event;
pub mod event_type;
pub mod health;
pub mod ids;
pub mod limits;
pub mod outcome;
pub mod ownership;
pub mod pressure;
pub mod queue_repair;
pub mod redelivery_pacing;
pub mod request;
pub mod retry;
pub mod schema;
pub mod signature;
pub mod signing_key;
pub mod text;
pub mod time;
pub mod trace;
pub mod webhook;
