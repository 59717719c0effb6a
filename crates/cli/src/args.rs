//! The command line.

use clap::{Args as ClapArgs, Parser, Subcommand};
use clap_complete::Shell;
use url::Url;

use crate::commands::{brands, events, listen, redeliver, rejected, support, tail, tokens, types, webhooks};
use crate::output::Output;

/// Webhooks, events and deliveries of Postrider on the command line
#[derive(Debug, Parser)]
#[command(name = "postrider", version, infer_subcommands = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What all commands take.
#[derive(Debug, ClapArgs)]
pub(crate) struct Common {
    /// Where the API is
    #[arg(
        long,
        global = true,
        env = "POSTRIDER_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub(crate) url: Url,
    /// A brand's token, or support's
    #[arg(long, global = true, env = "POSTRIDER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// The brand; a brand's token names its own
    #[arg(long, global = true, env = "POSTRIDER_BRAND", value_name = "BRAND")]
    pub(crate) brand: Option<String>,
    /// Form of the output
    #[arg(long, short, global = true, value_name = "FORM", default_value = "table")]
    pub(crate) output: Output,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
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
    /// Prints completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}
