//! The hosts of `DATABASE_URL`: TLS that is asked for, hosts that hang, and servers that stop taking writes.

#![expect(clippy::disallowed_methods, reason = "tasks that end with the test")]

use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use store::{Store, StoreSettings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

/// The first bytes of a client that asks for TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// Time for one attempt at a host, which a busy machine needs for the host that answers.
const PATIENT: &str = "connect_timeout=6";

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    store: StoreSettings,
}

fn settings(url: &str) -> StoreSettings {
    Settings::try_parse_from(["test", "--database-url", url]).unwrap_or_else(|e| panic!("{url}: {e}")).store
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL answers");
    tokio::spawn(connection);
    client
}

/// A database that the test drops at its end, and the address of its server.
struct TestDatabase {
    admin: Client,
    server: String,
    account: String,
    name: String,
}

impl TestDatabase {
    async fn create() -> Self {
        let url = std::env::var("E2E_DATABASE_URL")
            .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
        let admin = connect(&url).await;
        let name = format!("pr_{}", Uuid::new_v4().simple());
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("created");
        let (_, rest) = url.split_once("://").expect("a URL");
        let (account, server) = rest.split_once('@').expect("an account");
        let server = server.split('/').next().expect("a host").to_owned();
        Self { admin, server, account: account.to_owned(), name }
    }

    /// Returns a URL with these hosts before the server.
    fn behind(&self, hosts: &[SocketAddr], query: &str) -> String {
        let hosts: String = hosts.iter().map(|host| format!("{host},")).collect();
        format!("postgres://{}@{hosts}{}/{}?{query}", self.account, self.server, self.name)
    }

    async fn execute(&self, statement: &str) {
        let statement = statement.replace("{name}", &self.name);
        self.admin.batch_execute(&statement).await.expect("executed");
    }

    async fn drop_database(self) {
        self.execute("DROP DATABASE {name} WITH (FORCE)").await;
    }
}

/// Returns the address of a server that accepts connections and says nothing, like a suspended one.
async fn start_silent() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut accepted = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            accepted.push(stream);
        }
    });
    address
}

/// Returns an address that refuses connections, and the socket that keeps others from it.
fn closed_address() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let address = socket.local_addr().expect("an address");
    (socket, address)
}

/// An address whose connection requests are dropped, as of a machine that is gone.
struct FullBacklog {
    address: SocketAddr,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl FullBacklog {
    async fn start() -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let listener = socket.listen(0).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let mut waiting = Vec::new();
        while let Ok(connected) =
            tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
        {
            waiting.push(connected.expect("connected"));
        }
        Self { address, _listener: listener, _waiting: waiting }
    }
}

async fn time_ping(store: &Store) -> Duration {
    let began = Instant::now();
    store.ping().await.expect("PostgreSQL answers");
    began.elapsed()
}

/// Asserts that a first host of this kind is passed by within seconds, and that the second host is tried first from then on.
async fn assert_passed_by(host: SocketAddr) {
    let database = TestDatabase::create().await;
    let query = format!("target_session_attrs=read-write&{PATIENT}");
    let settings = settings(&database.behind(&[host], &query));
    let took = time_ping(&Store::new(&settings, "test")).await;
    assert!((Duration::from_secs(5)..Duration::from_secs(12)).contains(&took), "{took:?}");
    // Another pool of the same process knows which host answers.
    let took = time_ping(&Store::for_control(&settings, "test")).await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    database.drop_database().await;
}

#[tokio::test]
async fn a_host_that_says_nothing_is_passed_by() {
    assert_passed_by(start_silent().await).await;
}

#[tokio::test]
async fn a_host_whose_packets_are_dropped_is_passed_by() {
    let full = FullBacklog::start().await;
    assert_passed_by(full.address).await;
}

#[tokio::test]
async fn several_hosts_are_passed_by_within_the_time_of_the_url() {
    let database = TestDatabase::create().await;
    let (_socket, closed) = closed_address();
    let hosts = [start_silent().await, closed, start_silent().await];
    let store = Store::new(&settings(&database.behind(&hosts, PATIENT)), "test");
    let took = time_ping(&store).await;
    assert!((Duration::from_secs(11)..Duration::from_secs(18)).contains(&took), "{took:?}");
    database.drop_database().await;
}

#[tokio::test]
async fn the_error_names_each_host_and_its_reason() {
    let (_socket, closed) = closed_address();
    let silent = start_silent().await;
    let url = format!("postgres://u:hush@{closed},{silent}/db?connect_timeout=1");
    let error = Store::new(&settings(&url), "test").ping().await.expect_err("no host answers");
    let text = runtime::error::Chain(&error).to_string();
    for part in [closed.to_string(), silent.to_string(), "refused".to_owned(), "within 1s".to_owned()] {
        assert!(text.contains(&part), "{part}: {text}");
    }
    assert!(!text.contains("hush"), "{text}");
}

/// Each form used to connect without TLS, or was refused with a wrong reason.
#[tokio::test]
async fn tls_that_is_asked_for_comes_first_on_the_wire() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    for text in [
        format!("postgres://u:p@127.0.0.1:{port}/db?sslmode=require"),
        format!(
            "postgres://u:p@127.0.0.1:{port},127.0.0.1:{port}/db?sslmode=require&target_session_attrs=read-write"
        ),
        format!("host=127.0.0.1 port={port} user=u password=p dbname=db sslmode=require"),
        format!("host=127.0.0.1,127.0.0.1 port={port},{port} user=u sslmode=verify-full"),
        format!("postgresql://u:p@127.0.0.1:{port},127.0.0.1:{port}/db?sslmode=verify-ca"),
        format!("postgres:///db?host=127.0.0.1,127.0.0.1&port={port},{port}&user=u&sslmode=prefer"),
        format!("hostaddr=127.0.0.1 port={port} user=u sslmode=require"),
    ] {
        let store = Store::new(&settings(&text), "test");
        let pinging = tokio::spawn(async move { store.ping().await });
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut first = [0; 8];
        stream.read_exact(&mut first).await.expect("the first bytes");
        assert_eq!(first, SSL_REQUEST, "{text}");
        stream.write_all(b"S").await.expect("sent");
        let mut hello = [0; 1];
        stream.read_exact(&mut hello).await.expect("a record");
        assert_eq!(hello, [22], "{text}: no TLS handshake");
        pinging.abort();
    }
}

/// Returns the server process of a connection of the pool.
async fn server_process(store: &Store) -> i32 {
    let client = store.client().await.expect("a connection");
    client.query_one("SELECT pg_backend_pid()", &[]).await.expect("a row").get(0)
}

/// A former primary that became a standby, behind an address that stays the same.
#[tokio::test]
async fn connections_to_a_server_that_refuses_writes_are_left() {
    let database = TestDatabase::create().await;
    let store = Store::for_batches(&settings(&database.behind(&[], "")), "test");
    store::migrate::migrate_schema(&store, Duration::from_secs(24 * 3600)).await.expect("migrated");
    let claim = async || store::namespace::claim_namespace(&store, "first").await;
    assert_eq!(claim().await.expect("claimed"), "first");
    let before = server_process(&store).await;
    database.execute("ALTER DATABASE {name} SET default_transaction_read_only = on").await;
    store
        .client()
        .await
        .expect("a connection")
        .batch_execute("SET default_transaction_read_only = on")
        .await
        .expect("set");
    assert!(claim().await.expect_err("read-only").is_unavailable());
    assert_ne!(server_process(&store).await, before, "the connection was kept");
    database.execute("ALTER DATABASE {name} RESET default_transaction_read_only").await;
    // The new connection is left as well, at most a second later.
    let deadline = Instant::now() + Duration::from_secs(10);
    while claim().await.is_err() {
        assert!(Instant::now() < deadline, "it still does not write");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(store);
    database.drop_database().await;
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_no_host() {
    let database = TestDatabase::create().await;
    database.execute("ALTER DATABASE {name} SET default_transaction_read_only = on").await;
    let store = Store::new(&settings(&database.behind(&[], "target_session_attrs=read-write")), "test");
    let error = store.ping().await.expect_err("read-only");
    assert!(runtime::error::Chain(&error).to_string().contains("read-only"), "{error:?}");
    let store = Store::new(&settings(&database.behind(&[], "target_session_attrs=primary")), "test");
    store.ping().await.expect("it is no standby");
    database.drop_database().await;
}

#[tokio::test]
async fn one_of_several_namespaces_gets_the_database() {
    let database = TestDatabase::create().await;
    let store = Store::new(&settings(&database.behind(&[], "")), "test");
    store::migrate::migrate_schema(&store, Duration::from_secs(24 * 3600)).await.expect("migrated");
    let names: Vec<String> = (0..8).map(|n| format!("n{n}")).collect();
    let claimed = names.iter().map(|name| store::namespace::claim_namespace(&store, name));
    let claimed: Vec<String> = futures_util::future::try_join_all(claimed).await.expect("claimed");
    assert!(names.contains(&claimed[0]) && claimed.iter().all(|name| *name == claimed[0]), "{claimed:?}");
    assert_eq!(store::namespace::claim_namespace(&store, "later").await.expect("claimed"), claimed[0]);
    drop(store);
    database.drop_database().await;
}
