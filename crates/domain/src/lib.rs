//! Nouns and rules of Postrider, without I/O and without a clock.
//!
//! Every function is reproducible from its inputs. The time is a parameter ([`time::Timestamp`]). Random numbers are
//! used only to generate ids, secrets and keys. Therefore each rule is tested by itself, many of them over whole
//! simulated lives (`tests/simulation`), and the services only carry out what the rules decide.
//!
//! The modules follow the way of an event:
//!
//! - [`event`] decodes the message of a producer. Its `catalogue` says which event types a brand may receive.
//! - [`webhook`] is a brand's subscription: the endpoint and the addresses that are forbidden, the keys that sign
//!   requests, and the rule that disables an unhealthy webhook.
//! - [`delivery`] is one event for one webhook: its status, the facts of an attempt and the verdict about it, the retry
//!   schedule, and the limit of requests to one endpoint.
//! - [`admission`] decides what a deliverer does with a delivery that has arrived: attempt it, let it wait, end it or
//!   drop it.
//! - [`redelivery_pacing`] decides how fast deliveries are sent from the database, and by which replica.
//! - [`quota`] is how much a brand may publish, and how much of it may wait.
//! - [`fair_queue`] is the order in which a router handles the events of brands, and [`backlog_access`] decides when it
//!   uses the queues of their backlogs.
//! - [`lookup`] says what became of an event at each webhook, and why.
//! - [`pending_search`] decides from where pending deliveries are searched for.
//! - [`queue_repair`] decides when a queue counts as lost, and which deliveries a repaired queue is filled with.
//! - [`assignment`] distributes webhooks to the replicas of the deliverer.
//! - [`memory_shares`] decides which part of a deliverer's memory one brand may use.
//! - [`ids`], [`time`], [`trace`], [`text`], [`limits`] and [`vocabulary`] are values that all of them share.
//!
//! Imports lead only from `delivery` to `event` and `webhook`, from `admission` and `lookup` to `delivery`, `event` and
//! `webhook`, and from all of them to the shared values. The feature `clap` adds `settings`, the command-line settings of the retry
//! schedule and of the health rule, which imports `delivery` and `webhook`.

pub mod admission;
pub mod assignment;
pub mod backlog_access;
pub mod delivery;
pub mod event;
pub mod fair_queue;
pub mod ids;
pub mod limits;
pub mod lookup;
pub mod memory_shares;
pub mod pending_search;
pub mod queue_repair;
pub mod quota;
pub mod redelivery_job;
pub mod redelivery_pacing;
pub mod rejected_share;
#[cfg(feature = "clap")]
pub mod settings;
pub mod text;
pub mod time;
pub mod trace;
pub mod vocabulary;
pub mod webhook;
