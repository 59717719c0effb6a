//! Nouns and rules of Postrider: what an event, a webhook, a delivery and an attempt are, and what
//! follows from what.
//!
//! Nothing here does I/O or reads a clock: every function is reproducible from its inputs. Time
//! comes in as a [`chrono::DateTime<Utc>`], randomness only where a fresh id or secret is drawn.

pub mod assignment;
pub mod delivery;
pub mod event;
pub mod ids;
pub mod limits;
pub mod text;
pub mod time;
pub mod trace;
pub mod vocabulary;
pub mod webhook;
