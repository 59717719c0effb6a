//! Statements about deliveries: attempts and what follows from them, lists for the API, health and statistics of
//! webhooks, orphaned deliveries and from where they are searched for, closed generations, the data of events, and the
//! outbox.

pub mod activity;
pub mod attempts;
pub mod deliveries;
pub mod event_data;
pub mod generations;
pub mod health;
pub mod health_facts;
pub mod orphaned;
pub mod outbox;
pub mod record;
pub mod search_floors;
pub mod stats;
