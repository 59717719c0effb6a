//! One brand costs the others nothing. For each shared resource, an attacker brand does the most that its
//! token, its quota and support's defaults allow, while a victim brand's deliveries and API calls are
//! measured before and beside it (`tests/README.md`, "Isolation").

mod arena;
mod attack;
mod attacker;
mod connections;
mod contest;
mod fan_out;
mod flood;
mod memory;
mod name_server;
mod names;
mod pause;
mod processor;
mod queries;
mod record;
mod rejected;
mod row;
mod samples;
mod schema;
mod size;
mod tokens;
mod verdict;
mod victim;
