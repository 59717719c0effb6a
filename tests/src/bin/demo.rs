//! `demo` is a receiver and a producer to look at, used by `deploy/up`.
#![allow(clippy::print_stdout, reason = "what a command prints is its result")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use e2e::demo::state::State;
use e2e::demo::{DemoError, publish_event, receive, wait_until_received};

/// A receiver and a producer to look at.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Demo {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create the demo's certificate authority and certificate, unless they exist; prints the path of ca.pem
    Ca {
        #[arg(long)]
        state_dir: PathBuf,
    },
    /// Serve an HTTPS endpoint that verifies signatures (with the secret in STATE_DIR/secret, read at each
    /// request) and records each request
    Receive {
        #[arg(long, default_value = "127.0.0.1:8443")]
        listen: SocketAddr,
        #[arg(long)]
        state_dir: PathBuf,
    },
    /// Publish one event to RabbitMQ, persistent, mandatory and confirmed; prints its id
    Publish {
        #[arg(
            long,
            env = "AMQP_URL",
            hide_env_values = true,
            default_value = "amqp://guest:guest@127.0.0.1:5672/%2f"
        )]
        amqp_url: String,
        #[arg(long, env = "POSTRIDER_NAMESPACE", default_value = "postrider")]
        namespace: String,
        #[arg(long)]
        brand: String,
        #[arg(long = "type", default_value = e2e::event::SMS)]
        event_type: String,
        /// Any JSON
        #[arg(long)]
        data: String,
    },
    /// Wait until the receiver has verified an event; prints the request
    Wait {
        #[arg(long)]
        state_dir: PathBuf,
        #[arg(long)]
        event_id: String,
        /// Such as 30s
        #[arg(long, default_value = "30s", value_parser = seconds)]
        timeout: Duration,
    },
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.strip_suffix('s').unwrap_or(text).parse();
    number.map(Duration::from_secs).map_err(|_| "write it like 30s".to_owned())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Demo::parse().command).await {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a command and returns its output.
async fn run(command: Command) -> Result<String, DemoError> {
    match command {
        Command::Ca { state_dir } => {
            Ok(State::open(&state_dir)?.ensure_certificates()?.display().to_string())
        }
        Command::Receive { listen, state_dir } => {
            receive::serve(listen, State::open(&state_dir)?).await?;
            Ok(String::new())
        }
        Command::Publish { amqp_url, namespace, brand, event_type, data } => {
            publish_event(&amqp_url, &namespace, &brand, &event_type, &data).await
        }
        Command::Wait { state_dir, event_id, timeout } => {
            wait_until_received(&State::open(&state_dir)?, &event_id, timeout).await
        }
    }
}
