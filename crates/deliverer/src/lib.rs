//! Delivers events to endpoints
