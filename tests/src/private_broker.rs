//! A RabbitMQ node of the test's own, to be killed and started again.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use lapin::{Connection, ConnectionProperties};

use crate::PATIENCE;
use crate::poll::eventually;
use crate::ports::Port;
use crate::settings::unique;

/// Where distributions put the script that starts a node, without their wrapper that changes users.
const SCRIPTS: [&str; 3] = [
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/usr/local/sbin/rabbitmq-server",
    "/opt/rabbitmq/sbin/rabbitmq-server",
];
/// As advised to operators: dead-lettering goes on 3 s after a restart instead of 180 s.
const ADVANCED: &str = "[{rabbit,[{dead_letter_worker_publisher_confirm_timeout,3000}]}].\n";

/// A broker that stops when it is dropped.
#[derive(Debug)]
pub struct PrivateBroker {
    node: String,
    dir: PathBuf,
    port: Port,
    dist: Port,
    child: Option<Child>,
}

impl PrivateBroker {
    /// Starts a node with an empty state and waits until it answers.
    ///
    /// # Panics
    /// When RabbitMQ is not installed or does not start.
    pub async fn start() -> Self {
        let unique = unique();
        let dir = std::env::temp_dir().join(format!("postrider-e2e-rabbit-{unique}"));
        std::fs::create_dir_all(&dir).expect("a directory for the broker");
        let node = format!("pr{unique}@localhost");
        let mut broker = Self { node, dir, port: Port::take(), dist: Port::take(), child: None };
        broker.configure();
        broker.restart().await;
        broker
    }

    fn configure(&self) {
        let conf = format!("listeners.tcp.local = {}\nlog.console = true\n", self.port.address());
        for (name, text) in
            [("rabbitmq.conf", conf.as_str()), ("advanced.config", ADVANCED), ("plugins", "[].\n")]
        {
            std::fs::write(self.dir.join(name), text).expect("a file for the broker");
        }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port.number())
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again with the state it has, and waits until it answers.
    pub async fn restart(&mut self) {
        self.launch();
        let url = self.url();
        eventually("the private broker answers", PATIENCE * 2, async || {
            let connection = Connection::connect(&url, ConnectionProperties::default()).await;
            let connection = connection.map_err(|e| format!("{e}; {}", self.log_tail()))?;
            connection.close(200, "seen".into()).await.map_err(|e| e.to_string())
        })
        .await;
    }

    /// Starts the node without waiting for it.
    ///
    /// # Panics
    /// When RabbitMQ is not installed.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.dir.join("log")).expect("a log file");
        let file = |name: &str| self.dir.join(name).into_os_string();
        let child = Command::new("sh")
            // Three handles for each quorum queue; a limit that cannot be raised stays.
            .args(["-c", "ulimit -n 65536 2>/dev/null || ulimit -n \"$(ulimit -Hn)\"; exec \"$0\"", script()])
            .env("HOME", &self.dir)
            .env("RABBITMQ_NODENAME", &self.node)
            .env("RABBITMQ_NODE_PORT", self.port.number().to_string())
            .env("RABBITMQ_DIST_PORT", self.dist.number().to_string())
            .env("RABBITMQ_MNESIA_BASE", file("mnesia"))
            .env("RABBITMQ_LOG_BASE", file("logs"))
            .env("RABBITMQ_PID_FILE", file("pid"))
            .env("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", file("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", file("plugins"))
            .env("RABBITMQ_CONF_ENV_FILE", file("none"))
            // Makes the script become the node, so that a signal to it reaches the node.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("a shell"));
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().rev().take(15).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for PrivateBroker {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("the broker left its state in {}", self.dir.display());
        } else {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn script() -> &'static str {
    SCRIPTS.into_iter().find(|path| std::path::Path::new(path).is_file()).expect(
        "RabbitMQ's server is installed: the tests of a broker restart start a node of their own \
         (deploy/test installs the package rabbitmq-server)",
    )
}
