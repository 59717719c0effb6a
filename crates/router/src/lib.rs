//! Routes events to webhooks
