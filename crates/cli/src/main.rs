//! `postrider`: what the HTTP API offers, on the command line. It is a client like any other.

mod args;
mod client;
mod commands;
mod error;
mod output;
mod session;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use error::Error;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&Error::Output(error)),
    };
    match runtime.block_on(commands::run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough.
        Err(Error::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn fail(error: &Error) -> ExitCode {
    eprintln!("postrider: {error}");
    ExitCode::FAILURE
}
