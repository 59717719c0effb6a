//! The command line tool `postrider`, as people and scripts run it.

use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::WAIT_TIMEOUT;
use crate::api::Api;
use crate::binaries;
use crate::process::send_signal;

/// `postrider` with an address and a token.
#[derive(Debug, Clone)]
pub struct Cli {
    url: String,
    token: String,
}

impl Cli {
    /// Creates the tool for this API's address and token.
    #[must_use]
    pub fn new(url: &str, api: &Api) -> Self {
        Self { url: url.to_owned(), token: api.token().to_owned() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binaries::binary_path("postrider"));
        command.args(args).env_clear().stdin(Stdio::null()).kill_on_drop(true);
        command.env("POSTRIDER_URL", &self.url).env("POSTRIDER_TOKEN", &self.token);
        command
    }

    /// Runs it until it exits.
    ///
    /// # Panics
    /// When it does not exit.
    pub async fn run(&self, args: &[&str]) -> Output {
        let output = tokio::time::timeout(WAIT_TIMEOUT, self.command(args).output()).await;
        output.unwrap_or_else(|_| panic!("postrider {args:?} does not end")).expect("it runs")
    }

    /// Returns its output for people.
    ///
    /// # Panics
    /// When it fails.
    pub async fn text(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        let out = String::from_utf8_lossy(&output.stdout);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "postrider {args:?}: {out}{err}");
        out.into_owned()
    }

    /// Returns its output for programs.
    ///
    /// # Panics
    /// When it fails, or does not print JSON.
    pub async fn json(&self, args: &[&str]) -> Value {
        let text = self.text(&[args, &["--output", "json"]].concat()).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Returns its message about a failure.
    ///
    /// # Panics
    /// When it does not fail.
    pub async fn failure(&self, args: &[&str]) -> String {
        let output = self.run(args).await;
        assert_eq!(output.status.code(), Some(1), "postrider {args:?}");
        assert!(output.stdout.is_empty(), "postrider {args:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Starts a command that runs until it is interrupted, with `--output json`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(&self, args: &[&str]) -> Running {
        let mut command = self.command(&[args, &["--output", "json"]].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Running { child, lines }
    }
}

/// A running command, which is killed when it is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// Returns the next line.
    ///
    /// # Panics
    /// When none comes in time.
    pub async fn next_line(&mut self) -> Value {
        let line = tokio::time::timeout(WAIT_TIMEOUT, self.lines.next_line()).await.expect("a line in time");
        let line = line.expect("a pipe").expect("it runs");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Interrupts it as Ctrl-C does, waits for its exit, and returns whether that was successful.
    ///
    /// # Panics
    /// When it does not exit.
    pub async fn interrupt(mut self) -> bool {
        send_signal(self.child.id().expect("it runs"), "INT");
        let ended = tokio::time::timeout(WAIT_TIMEOUT, self.child.wait()).await;
        ended.expect("it ends in time").expect("a status").success()
    }
}
