//! The command line: global options, the commands that call the API, and shell completions.

use std::net::SocketAddr;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::commands::ApiCommand;
use crate::commands::profiles;
use crate::session::Common;
use crate::verify;

/// Manage webhooks, events and deliveries of Postrider
#[derive(Debug, Parser)]
#[command(
    name = "postrider",
    version,
    infer_subcommands = true,
    after_help = "Examples:
  postrider login                               # keep a token in a profile
  postrider find 01F2SFVYVD0H873S2VRT8VQSPM     # where is my event?
  postrider webhooks list --all-brands --health failing
  postrider events list Billing --status failed --from 1h
  postrider redeliver Billing --from 1h
  postrider listen --forward-to http://localhost:3000/webhooks

The token comes from --token, --token-file, their environment variables, or a profile, in this order.
Output is coloured and cut to the width on a terminal only; NO_COLOR turns the colour off."
)]
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
    Login(profiles::Login),
    /// List, choose or delete the profiles of postrider login
    #[command(subcommand)]
    Profiles(profiles::Command),
    Verify(Box<verify::Command>),
    /// Print a completion script for a shell
    #[command(after_help = "Examples:
  postrider completions bash > ~/.local/share/bash-completion/completions/postrider")]
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
    fn redeliver_takes_an_event_a_range_or_ids() {
        for line in [
            "postrider redeliver W E",
            "postrider redeliver W --from 1h",
            "postrider redeliver W --from 2h --to 1h --status all --dry-run",
            "postrider redeliver W --ids -",
        ] {
            assert!(parse_line(line).is_ok(), "{line}");
        }
        for line in ["postrider redeliver W", "postrider redeliver W --to 1h"] {
            assert_eq!(parse_line(line).err(), Some(ErrorKind::MissingRequiredArgument), "{line}");
        }
        for line in [
            "postrider redeliver W E --from 2h --to 1h",
            "postrider redeliver W E --status all",
            "postrider redeliver W E --dry-run",
            "postrider redeliver W E --ids -",
            "postrider redeliver W --from 1h --ids -",
        ] {
            assert_eq!(parse_line(line).err(), Some(ErrorKind::ArgumentConflict), "{line}");
        }
        let unknown = parse_line("postrider redeliver W --from 1h --status lost");
        assert_eq!(unknown.err(), Some(ErrorKind::InvalidValue));
    }

    #[test]
    fn events_are_listed_for_a_webhook_or_for_a_brand() {
        for line in [
            "postrider events list W --status failed --from 1h --oldest",
            "postrider events list W --newest",
            "postrider events list --all-of-brand --type A",
            "postrider events list --key order-1 --all",
        ] {
            assert!(parse_line(line).is_ok(), "{line}");
        }
        assert_eq!(parse_line("postrider events list").err(), Some(ErrorKind::MissingRequiredArgument));
        for line in [
            "postrider events list W --key order-1",
            "postrider events list --all-of-brand --status failed",
            "postrider events list W --limit 5 --all",
        ] {
            assert_eq!(parse_line(line).err(), Some(ErrorKind::ArgumentConflict), "{line}");
        }
    }

    #[test]
    fn dangerous_and_dependent_options_are_checked() {
        for line in [
            "postrider rejected delete",
            "postrider webhooks create --endpoint https://example.com",
            "postrider webhooks create --events A",
            "postrider listen --forward-to http://localhost:3000 --event E",
            "postrider brands create acme --name Acme --contact-name Ada",
            "postrider types put A --description D --enforce-schema",
            "postrider verify",
        ] {
            assert_eq!(parse_line(line).err(), Some(ErrorKind::MissingRequiredArgument), "{line}");
        }
        assert!(parse_line("postrider rejected delete --yes").is_ok());
        for line in [
            "postrider listen --forward-to ftp://localhost",
            "postrider events list W --from later",
            "postrider me --url nowhere",
        ] {
            assert_eq!(parse_line(line).err(), Some(ErrorKind::ValueValidation), "{line}");
        }
    }

    /// Splits a line of an example as a shell does: at spaces outside quotes, up to a comment or a redirection.
    fn split_words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quote = None;
        for c in line.chars() {
            match (quote, c) {
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if open == c => quote = None,
                (None, ' ') => words.push(String::new()),
                (_, c) => words.last_mut().expect("a word").push(c),
            }
        }
        words.retain(|word| !word.is_empty());
        let end =
            words.iter().position(|word| matches!(word.as_str(), "#" | "<" | ">")).unwrap_or(words.len());
        words.truncate(end);
        words
    }

    #[test]
    fn every_example_in_the_help_is_a_command_line() {
        let mut left = vec![Args::command()];
        let mut seen = 0;
        while let Some(command) = left.pop() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let help = help.replace("\\\n", "");
            for line in help.lines().filter(|line| line.starts_with("  postrider ")) {
                let parsed = Args::try_parse_from(split_words(line.trim()));
                assert!(
                    parsed.is_ok(),
                    "{line}: {}",
                    parsed.err().map(|error| error.to_string()).unwrap_or_default()
                );
                seen += 1;
            }
            left.extend(command.get_subcommands().cloned());
        }
        assert!(seen > 40, "{seen} examples");
    }

    #[test]
    fn global_options_have_a_heading_of_their_own() {
        let mut root = Args::command();
        root.build();
        let help = root.find_subcommand_mut("tail").expect("a command").render_help().to_string();
        let (own, global) = help.split_once("Global options:").expect("a heading");
        assert!(own.contains("--once") && !own.contains("--token"), "{help}");
        for option in ["--url", "--token", "--token-file", "--profile", "--brand", "--output"] {
            assert!(global.contains(option), "{option} in {help}");
        }
    }
}
