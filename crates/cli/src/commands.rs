//! The commands that call the API, one file for each noun.

mod audit;
mod brands;
mod events;
mod find;
mod listen;
mod listing;
mod overview;
pub(crate) mod profiles;
mod redeliver;
mod rejected;
mod rejected_jobs;
mod support_tokens;
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
    Find(find::Command),
    /// List events, show one, or publish one
    #[command(subcommand)]
    Events(events::Command),
    Redeliver(redeliver::Command),
    /// List, show or cancel redelivery jobs
    #[command(subcommand)]
    Redeliveries(redeliver::JobsCommand),
    /// Show the attempts of a brand's webhooks over time
    #[command(after_help = "Examples:
  postrider stats --from 24h --step 1h")]
    Stats(webhooks::StatsRange),
    Tail(tail::Command),
    Listen(listen::Command),
    /// List event types, or manage the catalogue (support)
    #[command(subcommand)]
    Types(types::Command),
    /// Manage brands (support)
    #[command(subcommand)]
    Brands(brands::Command),
    /// Manage a brand's tokens; creating and deleting them needs the role write
    #[command(subcommand)]
    Tokens(tokens::Command),
    /// Manage the named tokens of support (support)
    #[command(subcommand)]
    SupportTokens(support_tokens::Command),
    /// List, republish or delete rejected events (support)
    #[command(subcommand)]
    Rejected(rejected::Command),
    /// Show the state of the whole platform (support)
    Overview,
    Audit(audit::Audit),
}

/// Runs a command.
pub(crate) async fn run(session: &Session, command: ApiCommand) -> Result<(), Error> {
    match command {
        ApiCommand::Me => {
            session.output.print_resource(&session.client.get(&["v1", "me"], &Query::new()).await?)
        }
        ApiCommand::Webhooks(command) => webhooks::run(session, command).await,
        ApiCommand::Events(command) => events::run(session, command).await,
        ApiCommand::Find(command) => find::find(session, command).await,
        ApiCommand::Redeliver(command) => redeliver::redeliver_events(session, command).await,
        ApiCommand::Redeliveries(command) => redeliver::run_jobs(session, command).await,
        ApiCommand::Stats(range) => webhooks::show_brand_stats(session, range).await,
        ApiCommand::Tail(command) => tail::follow_deliveries(session, command).await,
        ApiCommand::Listen(command) => listen::forward_events(session, command).await,
        ApiCommand::Types(command) => types::run(session, command).await,
        ApiCommand::Brands(command) => brands::run(session, command).await,
        ApiCommand::Tokens(command) => tokens::run(session, command).await,
        ApiCommand::SupportTokens(command) => support_tokens::run(session, command).await,
        ApiCommand::Rejected(command) => rejected::run(session, command).await,
        ApiCommand::Overview => overview::show_overview(session).await,
        ApiCommand::Audit(command) => audit::list_audit(session, command).await,
    }
}
