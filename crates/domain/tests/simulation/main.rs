//! The pure rules at work over many steps, drawn from seeds: whole lives of deliveries, webhooks that
//! fall ill, replicas that come and go, endpoints that falter. What must hold is checked at each step,
//! by other means than the rules themselves.
//!
//! Each seed always draws the same. A failure names its seed; `POSTRIDER_SEED=<seed>` runs it alone.

mod adaptive_concurrency;
mod assignment;
mod delivery;
mod health;
mod rng;
