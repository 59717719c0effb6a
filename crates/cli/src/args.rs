//! The command line.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::commands::ApiCommand;
use crate::session::Common;

/// Webhooks, events and deliveries of Postrider on the command line
#[derive(Debug, Parser)]
#[command(name = "postrider", version, infer_subcommands = true)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(flatten)]
    Api(ApiCommand),
    /// Prints completions for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}
