//! One file for each noun.

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
    /// What the token may do
    Me,
    /// Webhooks of a brand
    #[command(subcommand)]
    Webhooks(webhooks::Command),
    /// Events of a webhook, and publishing some
    #[command(subcommand)]
    Events(events::Command),
    /// Send events again
    Redeliver(redeliver::Command),
    /// Follow a webhook's deliveries
    Tail(tail::Command),
    /// Send a webhook's events to this machine, signed as the platform signs them
    Listen(listen::Command),
    /// Event types
    #[command(subcommand)]
    Types(types::Command),
    /// Brands (support)
    #[command(subcommand)]
    Brands(brands::Command),
    /// Tokens of a brand (support)
    #[command(subcommand)]
    Tokens(tokens::Command),
    /// What the router refused (support)
    #[command(subcommand)]
    Rejected(rejected::Command),
    /// The platform at a glance (support)
    Overview,
    /// Who changed what (support)
    Audit(support::Audit),
}

/// Does what was asked for.
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
