//! A RabbitMQ node of the test's own, which the test can kill and restart.

use std::path::Path;

use crate::broker_accounts::BrokerAccounts;
use crate::ports::Port;
use crate::rabbit_node::Node;
use crate::rabbit_server::{PortMapper, Server};
use crate::settings::unique_name;
use crate::tls::PemIdentity;

/// The account of the services on a node that speaks TLS.
pub const CLIENT: &str = "postrider";
const PASSWORD: &str = "over-tls-alone";

/// A broker that stops when it is dropped.
#[derive(Debug)]
pub struct PrivateBroker {
    node: Node,
    secure: Port,
    // Dropped after the node, which is registered there.
    _port_mapper: Option<PortMapper>,
}

impl PrivateBroker {
    /// Starts an empty node and waits until it answers.
    ///
    /// # Panics
    /// When RabbitMQ is not installed or does not start.
    pub async fn start() -> Self {
        Self::start_server(Server::Installed).await
    }

    /// Starts a node of this server.
    ///
    /// # Panics
    /// When RabbitMQ is not installed or does not start.
    pub async fn start_server(server: Server) -> Self {
        let mut broker = Self::prepare(server).await;
        broker.node.configure("");
        broker.restart().await;
        broker
    }

    /// Starts a node that loads these accounts instead of creating `guest`, with `more` as further lines of
    /// `rabbitmq.conf`.
    ///
    /// # Panics
    /// When RabbitMQ is not installed or does not start.
    pub async fn start_with_accounts(server: Server, accounts: &BrokerAccounts, more: &str) -> Self {
        let mut broker = Self::prepare(server).await;
        broker
            .node
            .configure(&format!("load_definitions = {}\n{more}", accounts.definitions_file().display()));
        broker.launch();
        broker.node.wait_ready_as(&accounts.user("router"), &accounts.password("router")).await;
        broker
    }

    /// Starts a node that also listens for TLS, where it asks clients for a certificate from the authority of
    /// `client_roots` and presents `server`. The tests' own port stays open. The account [`CLIENT`] is for
    /// clients over TLS.
    ///
    /// # Panics
    /// When RabbitMQ is not installed or does not start.
    pub async fn start_secure(server: &PemIdentity, client_roots: &str) -> Self {
        let mut broker = Self::prepare(Server::Installed).await;
        let file = |name: &str| broker.node.dir().join(name).display().to_string();
        for (name, text) in [
            ("server.crt", &server.certificate),
            ("server.key", &server.key),
            ("clients.crt", &client_roots.to_owned()),
        ] {
            std::fs::write(file(name), text).expect("a file for the broker");
        }
        broker.node.configure(&format!(
            "listeners.ssl.local = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
             ssl_options.cacertfile = {}\nssl_options.verify = verify_peer\n\
             ssl_options.fail_if_no_peer_cert = true\n",
            broker.secure.address(),
            file("server.crt"),
            file("server.key"),
            file("clients.crt"),
        ));
        broker.restart().await;
        broker.add_user(CLIENT, PASSWORD, ".*").await;
        broker
    }

    async fn prepare(server: Server) -> Self {
        let unique = unique_name();
        let dir = std::env::temp_dir().join(format!("postrider-e2e-rabbit-{unique}"));
        let port_mapper = PortMapper::start_for(&server).await;
        let mapped = port_mapper.as_ref().map(PortMapper::port);
        let node = Node::new(server, &format!("pr{unique}"), dir.clone(), dir, mapped);
        Self { node, secure: Port::reserve(), _port_mapper: port_mapper }
    }

    /// Returns its URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("guest", "guest")
    }

    /// Returns its URL for this account.
    #[must_use]
    pub fn url_of(&self, user: &str, password: &str) -> String {
        format!("amqp://{user}:{password}@{}/%2f", self.node.port().address())
    }

    /// Returns the TLS URL for [`CLIENT`], with this name of the machine.
    #[must_use]
    pub fn client_url(&self, host: &str, query: &str) -> String {
        format!("amqps://{CLIENT}:{PASSWORD}@{host}:{}/%2f?{query}", self.secure.number())
    }

    /// Creates an account that may configure, write and read resources that match this regular expression.
    pub async fn add_user(&self, user: &str, password: &str, allowed: &str) {
        self.node.rabbitmqctl(&["add_user", user, password]).await;
        self.node.rabbitmqctl(&["set_permissions", user, allowed, allowed, allowed]).await;
    }

    /// Imports the accounts and permissions of this file.
    pub async fn import_definitions(&self, file: &Path) {
        self.node.rabbitmqctl(&["import_definitions", &file.display().to_string()]).await;
    }

    /// Sets the regular expressions for configure, write and read of an account.
    pub async fn set_permissions(&self, user: &str, permissions: &[String; 3]) {
        let [configure, write, read] = permissions;
        self.node.rabbitmqctl(&["set_permissions", user, configure, write, read]).await;
    }

    /// Returns the names of all accounts.
    pub async fn list_users(&self) -> Vec<String> {
        let users = self.node.list_rows("list_users", &[]).await;
        users.into_iter().filter_map(|columns| columns.into_iter().next()).collect()
    }

    /// Sets a policy for the queues whose name matches `pattern`.
    pub async fn set_policy(&self, name: &str, pattern: &str, definition: &serde_json::Value) {
        let definition = definition.to_string();
        self.node.rabbitmqctl(&["set_policy", "--apply-to", "queues", name, pattern, &definition]).await;
    }

    /// Returns the account, the use of TLS, and the name in the client's certificate of each connection.
    pub async fn list_connections(&self) -> Vec<[String; 3]> {
        let connections =
            self.node.list_rows("list_connections", &["user", "ssl", "peer_cert_subject"]).await;
        let three = |columns: Vec<String>| {
            let mut columns = columns.into_iter();
            std::array::from_fn(|_| columns.next().unwrap_or_default())
        };
        connections.into_iter().map(three).collect()
    }

    /// Makes a quorum queue unresponsive, as when the broker has lost it. It accepts subscriptions and
    /// messages, and neither confirms nor delivers any, until it is deleted or the node restarts.
    ///
    /// # Panics
    /// When there is no such queue.
    pub async fn silence_queue(&self, queue: &str) {
        let suspend = format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
             {{Leader, _}} = amqqueue:get_pid(Q), ok = sys:suspend(Leader)."
        );
        let output = self.node.eval(&suspend).await;
        assert_eq!(output.trim(), "ok", "{queue} is not silent");
    }

    /// Makes a silenced queue respond again. This changes nothing if it was deleted meanwhile, or replaced by
    /// another of the same name.
    ///
    /// # Panics
    /// When the node does not answer.
    pub async fn wake_queue(&self, queue: &str) {
        let resume = format!(
            "case rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)) of \
             {{ok, Q}} -> {{Leader, _}} = amqqueue:get_pid(Q), catch sys:resume(Leader), ok; _ -> ok end."
        );
        let output = self.node.eval(&resume).await;
        assert_eq!(output.trim(), "ok", "{queue} does not wake up");
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.node.kill();
    }

    /// Stops the node in order, so that it closes its connections and writes its state.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&mut self) {
        self.node.stop();
    }

    /// Raises the memory alarm, which blocks all publishers, or clears it.
    pub async fn set_memory_alarm(&self, on: bool) {
        let watermark = if on { "0" } else { "0.4" };
        self.node.rabbitmqctl(&["set_vm_memory_high_watermark", watermark]).await;
    }

    /// Returns the number of messages in each queue, including the unacknowledged ones.
    ///
    /// # Panics
    /// When the node does not answer.
    pub async fn count_messages(&self) -> Vec<(String, u64)> {
        let queue = |columns: Vec<String>| {
            let [name, messages] = columns.as_slice() else { return None };
            // A queue whose leader is missing shows no number.
            Some((name.clone(), messages.trim().parse().unwrap_or(u64::MAX)))
        };
        let queues = self.node.list_rows("list_queues", &["name", "messages"]).await;
        queues.into_iter().filter_map(queue).collect()
    }

    /// Starts it again with its state, and waits until it answers.
    pub async fn restart(&mut self) {
        self.launch();
        self.node.wait_ready().await;
    }

    /// Starts the node without waiting for it.
    ///
    /// # Panics
    /// When RabbitMQ is not installed.
    pub fn launch(&mut self) {
        self.node.launch();
    }
}
