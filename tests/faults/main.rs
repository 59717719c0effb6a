//! Nothing is lost under faults: a platform on servers of its own, careful producers, endpoints that
//! keep books, faults one after the other, and a judge at the end who looks from outside only.

mod alone;
mod backlog;
mod claims;
mod fault;
mod judge;
mod mix;
mod poisoning;
mod silence;
mod sql;
mod world;
