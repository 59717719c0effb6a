//! Simulations: the rules run over many steps, drawn from seeds.
//!
//! They cover whole lives of deliveries, webhooks whose endpoints fail and recover, replicas that join and leave, and
//! endpoints that fail from time to time. Each step checks what must hold with code that does not use the rules.
//!
//! A seed always draws the same numbers. A failing test prints its seed, and `POSTRIDER_SEED=<seed>` runs it alone.

mod adaptive_concurrency;
mod assignment;
mod delivery;
mod health;
mod rng;
