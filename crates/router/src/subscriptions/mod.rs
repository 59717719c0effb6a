//! The subscriptions in memory, and the matching of events against them.

pub mod index;
