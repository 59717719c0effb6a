//! The command line: global options, the commands that call the API, and shell completions.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::commands::ApiCommand;
use crate::session::Common;

/// Manage webhooks, events and deliveries of Postrider
#[derive(Debug, Parser)]
#[command(name = "postrider", version, infer_subcommands = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// A command, with or without the API.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Api(ApiCommand),
    /// Print a completion script for a shell
    Completions {
        /// Shell to print the script for
        shell: Shell,
    },
}
