//! A RabbitMQ node as a process of the test: its configuration, its start and stop, and `rabbitmqctl` on it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lapin::{Connection, ConnectionProperties};

use crate::WAIT_TIMEOUT;
use crate::poll::eventually;
use crate::ports::Port;
use crate::process::send_signal;
use crate::rabbit_server::Server;

/// As advised to operators, dead-lettering goes on 3 s after a restart instead of 180 s.
///
/// The watermark replaces the limit on open files in RabbitMQ 3.10's calculation, because that reserves three
/// for each quorum queue, opens hardly any of them, and accepts no clients once they are used up, which takes
/// 10,000 queues with the usual limit of 20,000.
const ADVANCED_CONFIG: &str = "[{rabbit,[{dead_letter_worker_publisher_confirm_timeout,3000},\
                               {file_handles_high_watermark,100000}]}].\n";
/// A running node answers a client within this time.
const GREETING_TIMEOUT: Duration = Duration::from_secs(5);
/// The argument of `rabbitmqctl --timeout`, in seconds.
const CONTROL_TIMEOUT: &str = "30";

/// A node that is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Node {
    server: Server,
    name: String,
    /// Its configuration, log and data.
    dir: PathBuf,
    /// The directory of the cookie, which the nodes of a cluster share.
    home: PathBuf,
    port: Port,
    dist: Port,
    epmd: Option<u16>,
    child: Option<Child>,
}

impl Node {
    /// Prepares a node without starting it. `home` contains the cookie. `epmd` is the port of the test's own
    /// port mapper; without it the machine's is used.
    ///
    /// # Panics
    /// When its directory cannot be created.
    pub(crate) fn new(server: Server, name: &str, dir: PathBuf, home: PathBuf, epmd: Option<u16>) -> Self {
        std::fs::create_dir_all(&dir).expect("a directory for the broker");
        let name = format!("{name}@localhost");
        Self { server, name, dir, home, port: Port::reserve(), dist: Port::reserve(), epmd, child: None }
    }

    /// Writes its configuration, with `more` as further lines of `rabbitmq.conf`.
    ///
    /// # Panics
    /// When a file cannot be written.
    pub(crate) fn configure(&self, more: &str) {
        let conf = format!("listeners.tcp.local = {}\nlog.console = true\n{more}", self.port.address());
        for (name, text) in
            [("rabbitmq.conf", conf.as_str()), ("advanced.config", ADVANCED_CONFIG), ("plugins", "[].\n")]
        {
            std::fs::write(self.dir.join(name), text).expect("a file for the broker");
        }
    }

    /// Returns its Erlang name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns its directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns its AMQP port.
    pub(crate) fn port(&self) -> &Port {
        &self.port
    }

    /// Returns whether it was started and neither killed nor stopped since.
    pub(crate) fn is_started(&self) -> bool {
        self.child.is_some()
    }

    /// Returns a command with the environment of its scripts.
    fn command(&self, script: &str) -> Command {
        let mut command = self.server.script(script);
        command.env("HOME", &self.home).env("RABBITMQ_CONF_ENV_FILE", self.dir.join("none"));
        if let Some(epmd) = self.epmd {
            command.env("ERL_EPMD_PORT", epmd.to_string());
        }
        command.stdin(Stdio::null());
        command
    }

    /// Starts the node without waiting for it.
    ///
    /// # Panics
    /// When it runs already or RabbitMQ is not installed.
    pub(crate) fn launch(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.dir.join("log")).expect("a log file");
        let file = |name: &str| self.dir.join(name).into_os_string();
        let child = self
            .command("rabbitmq-server")
            .env("RABBITMQ_NODENAME", &self.name)
            .env("RABBITMQ_NODE_PORT", self.port.number().to_string())
            .env("RABBITMQ_DIST_PORT", self.dist.number().to_string())
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-kernel inet_dist_use_interface {127,0,0,1}")
            .env("RABBITMQ_MNESIA_BASE", file("mnesia"))
            .env("RABBITMQ_LOG_BASE", file("logs"))
            .env("RABBITMQ_PID_FILE", file("pid"))
            .env("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", file("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", file("plugins"))
            // The script becomes the node, so that a signal to it reaches the node.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("a shell"));
    }

    /// Waits until it accepts clients.
    pub(crate) async fn wait_ready(&self) {
        self.wait_ready_as("guest", "guest").await;
    }

    /// Waits until it accepts this account.
    pub(crate) async fn wait_ready_as(&self, user: &str, password: &str) {
        let url = format!("amqp://{user}:{password}@{}/%2f", self.port.address());
        eventually("the private broker answers", WAIT_TIMEOUT * 2, async || {
            // A starting node may accept a connection and say nothing.
            let greeted = tokio::time::timeout(GREETING_TIMEOUT, connect_once(&url)).await;
            let greeted = greeted.map_err(|_| "no greeting".to_owned()).and_then(|greeted| greeted);
            greeted.map_err(|error| format!("{error}; {}", self.log_tail()))
        })
        .await;
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops the node in order, so that it closes its connections and writes its state.
    ///
    /// # Panics
    /// When it does not run.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().expect("a running broker");
        send_signal(child.id(), "TERM");
        let _ = child.wait();
    }

    /// Runs `rabbitmqctl` on the node, and returns its output.
    ///
    /// # Panics
    /// When it fails.
    pub(crate) async fn rabbitmqctl(&self, args: &[&str]) -> String {
        self.try_rabbitmqctl(args).await.unwrap_or_else(|complaint| panic!("{complaint}"))
    }

    /// Runs `rabbitmqctl` on a node that may be recovering, and returns its output, or what it complains about.
    async fn try_rabbitmqctl(&self, args: &[&str]) -> Result<String, String> {
        let mut command = self.command("rabbitmqctl");
        command.args(["--node", &self.name, "--timeout", CONTROL_TIMEOUT]).args(args);
        let output = tokio::process::Command::from(command).output().await.expect("rabbitmqctl");
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            Ok(printed)
        } else {
            Err(format!("rabbitmqctl {args:?}: {printed}{complaint}"))
        }
    }

    /// Evaluates an Erlang expression on the node, and returns its value as Erlang prints it.
    pub(crate) async fn eval(&self, erlang: &str) -> String {
        self.rabbitmqctl(&["--silent", "eval", erlang]).await
    }

    /// Evaluates an Erlang expression on a node that may be recovering.
    pub(crate) async fn try_eval(&self, erlang: &str) -> Result<String, String> {
        self.try_rabbitmqctl(&["--silent", "eval", erlang]).await
    }

    /// Returns the columns of each row in a `rabbitmqctl` listing.
    pub(crate) async fn list_rows(&self, listing: &str, columns: &[&str]) -> Vec<Vec<String>> {
        let listed =
            self.rabbitmqctl(&[&[listing, "--silent", "--no-table-headers"], columns].concat()).await;
        listed.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the broker left its state in {}", self.dir.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// Connects and disconnects.
async fn connect_once(url: &str) -> Result<(), String> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await;
    let connection = connection.map_err(|error| error.to_string())?;
    connection.close(200, "seen".into()).await.map_err(|error| error.to_string())
}
