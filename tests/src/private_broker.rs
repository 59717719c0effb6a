//! A RabbitMQ node of the test's own, to be killed and started again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lapin::{Connection, ConnectionProperties};

use crate::PATIENCE;
use crate::poll::eventually;
use crate::ports::Port;
use crate::process::send_signal;
use crate::settings::unique;
use crate::tls::PemIdentity;

/// The account of the services on a node that speaks TLS.
pub const CLIENT: &str = "postrider";
const PASSWORD: &str = "over-tls-alone";
/// Where distributions put the scripts, without their wrapper that changes users.
const SCRIPTS: [&str; 3] = ["/usr/lib/rabbitmq/bin", "/usr/local/sbin", "/opt/rabbitmq/sbin"];
/// As advised to operators: dead-lettering goes on 3 s after a restart instead of 180 s.
///
/// The watermark takes the place of the limit on open files in RabbitMQ 3.10's reckoning. That reserves three for each
/// quorum queue, opens hardly any of them, and greets nobody once they are spent: 10,000 queues with the usual 20,000.
const ADVANCED: &str = "[{rabbit,[{dead_letter_worker_publisher_confirm_timeout,3000},\
                        {file_handles_high_watermark,100000}]}].\n";

/// A node that runs greets within this.
const GREETING: Duration = Duration::from_secs(5);

/// A broker that stops when it is dropped.
#[derive(Debug)]
pub struct PrivateBroker {
    node: String,
    dir: PathBuf,
    port: Port,
    secure: Port,
    dist: Port,
    child: Option<Child>,
}

impl PrivateBroker {
    /// Starts a node with an empty state and waits until it answers.
    ///
    /// # Panics
    /// When RabbitMQ is not installed or does not start.
    pub async fn start() -> Self {
        let mut broker = Self::prepare();
        broker.configure("");
        broker.restart().await;
        broker
    }

    /// Starts one that also listens for TLS, asks clients there for a certificate from the authority of
    /// `client_roots`, and shows `server`. The tests' own way in stays open. The account [`CLIENT`] is for
    /// those who come over TLS.
    ///
    /// # Panics
    /// When RabbitMQ is not installed or does not start.
    pub async fn start_secure(server: &PemIdentity, client_roots: &str) -> Self {
        let mut broker = Self::prepare();
        let file = |name: &str| broker.dir.join(name).display().to_string();
        for (name, text) in [
            ("server.crt", &server.certificate),
            ("server.key", &server.key),
            ("clients.crt", &client_roots.to_owned()),
        ] {
            std::fs::write(file(name), text).expect("a file for the broker");
        }
        broker.configure(&format!(
            "listeners.ssl.local = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
             ssl_options.cacertfile = {}\nssl_options.verify = verify_peer\n\
             ssl_options.fail_if_no_peer_cert = true\n",
            broker.secure.address(),
            file("server.crt"),
            file("server.key"),
            file("clients.crt"),
        ));
        broker.restart().await;
        broker.control(&["add_user", CLIENT, PASSWORD]).await;
        broker.control(&["set_permissions", CLIENT, ".*", ".*", ".*"]).await;
        broker
    }

    fn prepare() -> Self {
        let unique = unique();
        let dir = std::env::temp_dir().join(format!("postrider-e2e-rabbit-{unique}"));
        std::fs::create_dir_all(&dir).expect("a directory for the broker");
        let node = format!("pr{unique}@localhost");
        let (port, secure, dist) = (Port::take(), Port::take(), Port::take());
        Self { node, dir, port, secure, dist, child: None }
    }

    fn configure(&self, more: &str) {
        let conf = format!("listeners.tcp.local = {}\nlog.console = true\n{more}", self.port.address());
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

    /// The URL over TLS for [`CLIENT`], at this name of the machine.
    #[must_use]
    pub fn client_url(&self, host: &str, query: &str) -> String {
        format!("amqps://{CLIENT}:{PASSWORD}@{host}:{}/%2f?{query}", self.secure.number())
    }

    /// Account, whether it is over TLS, and the name in the client's certificate of each connection.
    pub async fn connections(&self) -> Vec<[String; 3]> {
        let wanted =
            ["list_connections", "--silent", "--no-table-headers", "user", "ssl", "peer_cert_subject"];
        let listed = self.control(&wanted).await;
        let connection = |line: &str| {
            let mut columns = line.split('\t').map(str::to_owned);
            std::array::from_fn(|_| columns.next().unwrap_or_default())
        };
        listed.lines().map(connection).collect()
    }

    /// Makes a quorum queue answer nothing, as one that the broker has lost: it takes subscriptions
    /// and messages, and neither confirms nor hands out any. Until it is deleted, or the node starts
    /// again.
    ///
    /// # Panics
    /// When there is no such queue.
    pub async fn silence(&self, queue: &str) {
        let suspend = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
             {{Leader, _}} = amqqueue:get_pid(Q), ok = sys:suspend(Leader)."
        );
        let said = self.eval(&suspend).await;
        assert_eq!(said.trim(), "ok", "{queue} is not silent");
    }

    /// Makes a queue answer again that was silenced. If it was deleted meanwhile, or is another of the same name,
    /// this changes nothing.
    ///
    /// # Panics
    /// When the node does not answer.
    pub async fn wake(&self, queue: &str) {
        let resume = format!(
            "case rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)) of \
             {{ok, Q}} -> {{Leader, _}} = amqqueue:get_pid(Q), catch sys:resume(Leader), ok; _ -> ok end."
        );
        let said = self.eval(&resume).await;
        assert_eq!(said.trim(), "ok", "{queue} does not wake up");
    }

    /// Has the node evaluate an expression of Erlang, and hands out what it says.
    async fn eval(&self, erlang: &str) -> String {
        let said = tokio::process::Command::new(script("rabbitmqctl"))
            .args(["--node", &self.node, "--silent", "eval", erlang])
            // The cookie is there.
            .env("HOME", &self.dir)
            .stdin(Stdio::null())
            .output()
            .await
            .expect("rabbitmqctl");
        assert!(said.status.success(), "{erlang}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).into_owned()
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// An orderly stop: the node closes its connections and writes its state.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&mut self) {
        let mut child = self.child.take().expect("a running broker");
        send_signal(child.id(), "TERM");
        let _ = child.wait();
    }

    /// Raises the memory alarm, which blocks all publishers, or ends it.
    pub async fn alarm(&self, on: bool) {
        let watermark = if on { "0" } else { "0.4" };
        self.control(&["set_vm_memory_high_watermark", watermark]).await;
    }

    /// How many messages each queue holds, those included that were handed out and not acknowledged.
    ///
    /// # Panics
    /// When the node does not answer.
    pub async fn messages(&self) -> Vec<(String, u64)> {
        let listed =
            self.control(&["list_queues", "--silent", "--no-table-headers", "name", "messages"]).await;
        let queue = |line: &str| {
            let (name, messages) = line.split_once('\t')?;
            // A queue whose leader is missing shows no number.
            Some((name.to_owned(), messages.trim().parse().unwrap_or(u64::MAX)))
        };
        listed.lines().filter_map(queue).collect()
    }

    /// Runs `rabbitmqctl` on the node, and hands out what it says.
    async fn control(&self, args: &[&str]) -> String {
        let output = tokio::process::Command::new(script("rabbitmqctl"))
            .env("HOME", &self.dir)
            .env("RABBITMQ_CONF_ENV_FILE", self.dir.join("none"))
            .args(["-n", &self.node, "--timeout", "30"])
            .args(args)
            .stdin(Stdio::null())
            .output()
            .await
            .expect("rabbitmqctl");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "rabbitmqctl {args:?}: {said}{complaint}");
        said
    }

    /// Starts it again with the state it has, and waits until it answers.
    pub async fn restart(&mut self) {
        self.launch();
        let url = self.url();
        eventually("the private broker answers", PATIENCE * 2, async || {
            // A node that is still starting may take a connection and say nothing to it.
            let greeted = tokio::time::timeout(GREETING, greet(&url)).await;
            let greeted = greeted.map_err(|_| "no greeting".to_owned()).and_then(|greeted| greeted);
            greeted.map_err(|error| format!("{error}; {}", self.log_tail()))
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
            .args(["-c", "ulimit -n 65536 2>/dev/null || ulimit -n \"$(ulimit -Hn)\"; exec \"$0\""])
            .arg(script("rabbitmq-server"))
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

/// Connects and leaves again.
async fn greet(url: &str) -> Result<(), String> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await;
    let connection = connection.map_err(|error| error.to_string())?;
    connection.close(200, "seen".into()).await.map_err(|error| error.to_string())
}

fn script(name: &str) -> PathBuf {
    SCRIPTS.into_iter().map(|dir| Path::new(dir).join(name)).find(|path| path.is_file()).expect(
        "RabbitMQ's server is installed: the tests of a broker restart start a node of their own \
         (deploy/test installs the package rabbitmq-server)",
    )
}
