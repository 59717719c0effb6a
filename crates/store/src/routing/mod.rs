//! Statements of the router: the configuration that it matches events against, and storing events. The deliverer
//! loads its webhooks from here, too, and the API the rules for events that are published over HTTP.

pub mod backlogs;
pub mod configuration;
pub mod ingest;
pub mod locked_configuration;
pub mod publishing;
pub mod unmatched;
