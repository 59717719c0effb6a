//! One file for each noun.

pub(crate) mod brands;
pub(crate) mod events;
pub(crate) mod listen;
pub(crate) mod redeliver;
pub(crate) mod rejected;
pub(crate) mod support;
pub(crate) mod tail;
pub(crate) mod tokens;
pub(crate) mod types;
pub(crate) mod webhooks;

use clap::CommandFactory;

use crate::args::{Args, Command};
use crate::client::Query;
use crate::error::Error;
use crate::session::Session;

/// Does what was asked for.
pub(crate) async fn run(args: Args) -> Result<(), Error> {
    if let Command::Completions { shell } = args.command {
        clap_complete::generate(shell, &mut Args::command(), "postrider", &mut std::io::stdout());
        return Ok(());
    }
    let session = Session::new(args.common)?;
    match args.command {
        Command::Me => session.output.one(&session.client.get(&["v1", "me"], &Query::new()).await?),
        Command::Webhooks(command) => webhooks::run(&session, command).await,
        Command::Events(command) => events::run(&session, command).await,
        Command::Redeliver(command) => redeliver::run(&session, command).await,
        Command::Tail(command) => tail::run(&session, command).await,
        Command::Listen(command) => listen::run(&session, command).await,
        Command::Types(command) => types::run(&session, command).await,
        Command::Brands(command) => brands::run(&session, command).await,
        Command::Tokens(command) => tokens::run(&session, command).await,
        Command::Rejected(command) => rejected::run(&session, command).await,
        Command::Overview => support::overview(&session).await,
        Command::Audit(command) => support::audit(&session, command).await,
        Command::Completions { .. } => Ok(()),
    }
}
