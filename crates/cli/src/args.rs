//! The command line: global options, the commands that call the API, and shell completions.

use std::net::SocketAddr;

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
    Api(Box<ApiCommand>),
    /// Print a completion script for a shell
    Completions {
        /// Shell to print the script for
        shell: Shell,
    },
    /// Check a service on this machine, for the health check of a container
    HealthCheck {
        /// Path to ask for
        #[arg(default_value = "/healthz", value_parser = ["/healthz", "/readyz"])]
        path: String,
        /// Address of the service's operations listener
        #[arg(long, env = "POSTRIDER_OPS_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:9100")]
        ops_listen: SocketAddr,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse_line(line: &str) -> Result<Args, ErrorKind> {
        Args::try_parse_from(line.split(' ')).map_err(|error| error.kind())
    }

    #[test]
    fn definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn every_option_and_argument_has_a_help_text() {
        let mut undocumented = Vec::new();
        let mut left = vec![Args::command()];
        while let Some(command) = left.pop() {
            let missing = command.get_arguments().filter(|arg| arg.get_help().is_none());
            undocumented.extend(missing.map(|arg| format!("{} {}", command.get_name(), arg.get_id())));
            left.extend(command.get_subcommands().cloned());
        }
        assert!(undocumented.is_empty(), "{undocumented:?}");
    }

    #[test]
    fn commands_may_be_abbreviated_and_global_options_come_anywhere() {
        for line in
            ["postrider webhooks list", "postrider webh list --brand acme", "postrider -o json webhooks list"]
        {
            let args = parse_line(line).expect(line);
            let Command::Api(command) = args.command else { panic!("{line}") };
            assert!(matches!(*command, ApiCommand::Webhooks(_)), "{line}");
        }
        let completions = parse_line("postrider completions bash").expect("a command");
        assert!(matches!(completions.command, Command::Completions { shell: Shell::Bash }));
    }

    #[test]
    fn redeliver_takes_an_event_or_a_range() {
        assert!(parse_line("postrider redeliver W E").is_ok());
        assert!(parse_line("postrider redeliver W --from A --to B --status all --dry-run").is_ok());
        assert_eq!(parse_line("postrider redeliver W").err(), Some(ErrorKind::MissingRequiredArgument));
        assert_eq!(
            parse_line("postrider redeliver W --from A").err(),
            Some(ErrorKind::MissingRequiredArgument)
        );
        for line in [
            "postrider redeliver W E --from A --to B",
            "postrider redeliver W E --status all",
            "postrider redeliver W E --dry-run",
        ] {
            assert_eq!(parse_line(line).err(), Some(ErrorKind::ArgumentConflict), "{line}");
        }
        let unknown = parse_line("postrider redeliver W --from A --to B --status lost");
        assert_eq!(unknown.err(), Some(ErrorKind::InvalidValue));
    }

    #[test]
    fn dangerous_and_dependent_options_are_checked() {
        for line in [
            "postrider rejected delete",
            "postrider listen --forward-to http://localhost:3000 --event E",
            "postrider brands create acme --name Acme --contact-name Ada",
            "postrider types put A --description D --enforce-schema",
        ] {
            assert_eq!(parse_line(line).err(), Some(ErrorKind::MissingRequiredArgument), "{line}");
        }
        assert!(parse_line("postrider rejected delete --yes").is_ok());
        assert_eq!(
            parse_line("postrider listen --forward-to ftp://localhost").err(),
            Some(ErrorKind::ValueValidation)
        );
    }
}
