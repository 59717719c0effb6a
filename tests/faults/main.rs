//! Nothing is lost under faults. A platform runs on servers of its own with careful producers, the endpoints
//! keep a ledger, faults follow one another, and at the end a judge looks from outside only.

mod alone;
mod backlog;
mod claims;
mod fault;
mod judge;
mod mix;
mod poisoning;
mod progress;
mod rejected;
mod silence;
mod sql;
mod world;
