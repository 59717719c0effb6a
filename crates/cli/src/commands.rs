//! The commands that call the API, one file for each noun.

mod brands;
mod event_filter;
mod events;
mod listen;
mod redeliver;
mod rejected;
mod support;
mod tail;
mod tokens;
mod types;
mod webhooks;

use clap::Subcommand;

use crate::client::Query;
use crate::error::Error;
use crate::session::Session;

/// A command that calls the API.
#[derive(Debug, Subcommand)]
pub(crate) enum ApiCommand {
    /// Show the brand and the role of the token
    Me,
    /// Manage the webhooks of a brand
    #[command(subcommand)]
    Webhooks(webhooks::Command),
    /// List a webhook's events, or publish an event
    #[command(subcommand)]
    Events(events::Command),
    /// Redeliver one event, or the failed events of a time range
    Redeliver(redeliver::Command),
    /// Follow a webhook's deliveries as they happen
    Tail(tail::Command),
    /// Forward a webhook's events to a local server, signed as in production
    Listen(listen::Command),
    /// List event types, or manage the catalogue (support)
    #[command(subcommand)]
    Types(types::Command),
    /// Manage brands (support)
    #[command(subcommand)]
    Brands(brands::Command),
    /// Manage a brand's tokens (support)
    #[command(subcommand)]
    Tokens(tokens::Command),
    /// List, republish or delete rejected events (support)
    #[command(subcommand)]
    Rejected(rejected::Command),
    /// Show the state of the whole platform (support)
    Overview,
    /// List the audit log (support)
    Audit(support::Audit),
}

/// Runs a command.
pub(crate) async fn run(session: &Session, command: ApiCommand) -> Result<(), Error> {
    match command {
        ApiCommand::Me => {
            session.output.print_resource(&session.client.get(&["v1", "me"], &Query::new()).await?)
        }
        ApiCommand::Webhooks(command) => webhooks::run(session, command).await,
        ApiCommand::Events(command) => events::run(session, command).await,
        ApiCommand::Redeliver(command) => redeliver::redeliver_events(session, command).await,
        ApiCommand::Tail(command) => tail::follow_deliveries(session, command).await,
        ApiCommand::Listen(command) => listen::forward_events(session, command).await,
        ApiCommand::Types(command) => types::run(session, command).await,
        ApiCommand::Brands(command) => brands::run(session, command).await,
        ApiCommand::Tokens(command) => tokens::run(session, command).await,
        ApiCommand::Rejected(command) => rejected::run(session, command).await,
        ApiCommand::Overview => support::show_overview(session).await,
        ApiCommand::Audit(command) => support::list_audit(session, command).await,
    }
}
