//! PostgreSQL and RabbitMQ over TLS, with certificates on both sides (`crates/SECURITY.md`).

use std::path::{Path, PathBuf};

use e2e::WAIT_TIMEOUT;
use e2e::brand::Brand;
use e2e::database;
use e2e::event::Event;
use e2e::platform::Platform;
use e2e::poll::eventually;
use e2e::private_broker::{self, PrivateBroker};
use e2e::private_postgres::{self, PrivatePostgres};
use e2e::process::Process;
use e2e::receiver::Receiver;
use e2e::script::Reply;
use e2e::tls::{Authority, PemIdentity};

/// The one name in the servers' certificates.
const NAME: &str = "localhost";
/// The same machine by another name, which is not in the certificates.
const OTHER_NAME: &str = "127.0.0.1";
/// Lists the connections to PostgreSQL by application, encryption and client certificate.
const CONNECTIONS: &str = "SELECT DISTINCT application_name, ssl, coalesce(client_dn, '') \
    FROM pg_stat_activity JOIN pg_stat_ssl USING (pid) WHERE usename = $1 ORDER BY 1";

/// Servers that ask for certificates, and a configured platform that is not started.
struct Encrypted {
    postgres: PrivatePostgres,
    broker: PrivateBroker,
    platform: Platform,
    files: Files,
}

/// The TLS files of a service.
#[derive(Clone)]
struct Files {
    roots: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn write(dir: &Path, name: &str, roots: &str, client: &PemIdentity) -> Self {
        let file = |suffix: &str, text: &str| {
            let path = dir.join(format!("{name}-{suffix}.pem"));
            std::fs::write(&path, text).expect("a file for TLS");
            path
        };
        Self {
            roots: file("roots", roots),
            certificate: file("certificate", &client.certificate),
            key: file("key", &client.key),
        }
    }

    fn of_postgres(&self, mode: &str) -> String {
        let (roots, certificate, key) =
            (self.roots.display(), self.certificate.display(), self.key.display());
        format!("sslmode={mode}&sslrootcert={roots}&sslcert={certificate}&sslkey={key}")
    }

    fn of_broker(&self) -> String {
        let (roots, certificate, key) =
            (self.roots.display(), self.certificate.display(), self.key.display());
        format!("cacertfile={roots}&certfile={certificate}&keyfile={key}")
    }
}

impl Encrypted {
    async fn prepare() -> Self {
        let servers = Authority::generate();
        let clients = Authority::generate();
        let server = servers.issue_server(&[NAME]);
        let (postgres, broker) = tokio::join!(
            PrivatePostgres::start_secure(&server, clients.pem()),
            PrivateBroker::start_secure(&server, clients.pem()),
        );
        let builder = Platform::builder().postgres(&postgres.admin_url()).broker(&broker.url());
        let platform = builder.retries("1s,1s").prepare().await;
        let client = clients.issue_client(private_postgres::CLIENT);
        let files = Files::write(platform.dir(), "client", servers.pem(), &client);
        let mut encrypted = Self { postgres, broker, platform, files };
        let database_url = encrypted.database_url(NAME);
        let amqp_url = encrypted.amqp_url(NAME);
        for process in encrypted.platform.processes_mut() {
            process.set("DATABASE_URL", &database_url);
            process.set("AMQP_URL", &amqp_url);
        }
        encrypted
    }

    fn database_url(&self, host: &str) -> String {
        self.database_url_with(host, &self.files.of_postgres("verify-full"))
    }

    fn database_url_with(&self, host: &str, query: &str) -> String {
        let url = self.platform.database_url();
        let database = url.rsplit('/').next().expect("a database");
        self.postgres.client_url(host, database, query)
    }

    fn amqp_url(&self, host: &str) -> String {
        self.broker.client_url(host, &self.files.of_broker())
    }

    /// Checks that every connection of the services to PostgreSQL is encrypted and shows their certificate.
    async fn check_postgres(&self) {
        let admin = database::connect(&self.postgres.admin_url()).await.expect("the private PostgreSQL");
        let rows = admin.query(CONNECTIONS, &[&private_postgres::CLIENT]).await.expect("connections");
        let seen: Vec<(String, bool, String)> =
            rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        eprintln!("PostgreSQL: {seen:?}");
        for service in ["subscription-api", "router", "deliverer"] {
            let named = |(name, ..): &&(String, bool, String)| name.contains(service);
            assert!(seen.iter().any(|row| named(&row)), "{service} is not among {seen:?}");
        }
        let subject = format!("/CN={}", private_postgres::CLIENT);
        assert!(seen.iter().all(|(_, encrypted, shown)| *encrypted && *shown == subject), "{seen:?}");
    }

    /// Checks the same for every connection of the services to RabbitMQ.
    async fn check_broker(&self) {
        let all = self.broker.list_connections().await;
        let seen: Vec<_> = all.iter().filter(|[user, ..]| user == private_broker::CLIENT).collect();
        eprintln!("RabbitMQ: {seen:?}");
        assert!(seen.len() >= 3, "one of each service, at least: {all:?}");
        let subject = format!("CN={}", private_broker::CLIENT);
        assert!(
            seen.iter().all(|[_, encrypted, shown]| encrypted == "true" && *shown == subject),
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn an_event_is_delivered_over_mutual_tls() {
    let mut encrypted = Encrypted::prepare().await;
    encrypted.platform.start_all().await;
    let brand = Brand::create(&encrypted.platform.support(), "acme", &["NOTIFICATION"]).await;
    let receiver = Receiver::start(&encrypted.platform.authority).await;
    let endpoint = receiver.endpoint("/hook");
    endpoint.answer([Reply::status(500), Reply::ok()]);
    let webhook = brand.create_webhook(endpoint.url(), &["NOTIFICATION"]).await;

    let event = Event::sms("acme");
    encrypted.platform.producer().await.publish(&event).await;

    // The event was routed, failed, waited, came back, and was delivered and recorded.
    let delivery = brand.wait_delivery(&webhook, event.id(), "delivered", 2).await;
    assert_eq!(delivery["status"], "delivered");
    endpoint.wait_for_event(event.id()).await.verify(&webhook.secret).expect("a signature");
    encrypted.check_postgres().await;
    encrypted.check_broker().await;
}

/// Starts `process`, which must fail to reach `server` (`database` or `broker`) and reach the other one, and
/// waits until its log says why.
async fn assert_unreachable(process: &mut Process, server: &str, reason: &str) {
    process.start();
    let what = format!("{server} is away, because of {reason}");
    eventually(&what, WAIT_TIMEOUT, async || {
        let log = process.read_log();
        // The last line shows a failure; the process keeps trying.
        let last = log.lines().last().unwrap_or_default().to_owned();
        if log.contains(reason) { Ok(()) } else { Err(last) }
    })
    .await;
    let state = eventually(&format!("only the {server} is unreachable"), WAIT_TIMEOUT, async || {
        let state = process.wait_readyz(503).await;
        let parts: serde_json::Value = serde_json::from_str(&state).expect("JSON");
        let away = ["database", "broker"].map(|part| parts[part] == "away");
        if away == ["database", "broker"].map(|part| part == server) { Ok(state) } else { Err(state) }
    })
    .await;
    eprintln!("{server}, {reason}: {state}");
    assert!(process.is_running(), "it waits for a trusted server");
    process.kill();
}

#[tokio::test]
async fn untrusted_servers_and_clients_are_rejected() {
    let mut encrypted = Encrypted::prepare().await;
    let stranger = Authority::generate();
    let client = stranger.issue_client(private_postgres::CLIENT);
    let strangers = Files::write(encrypted.platform.dir(), "stranger", stranger.pem(), &client);
    let good = &encrypted.files;
    let wrong_roots = Files { roots: strangers.roots.clone(), ..good.clone() };
    let wrong_client = Files { roots: good.roots.clone(), ..strangers };
    let without = |files: &Files| format!("sslmode=verify-full&sslrootcert={}", files.roots.display());
    let to_postgres = [
        (
            encrypted.database_url_with(NAME, &wrong_roots.of_postgres("verify-full")),
            "invalid peer certificate",
        ),
        (
            encrypted.database_url_with(NAME, &wrong_roots.of_postgres("verify-ca")),
            "invalid peer certificate",
        ),
        (encrypted.database_url(OTHER_NAME), "invalid peer certificate: certificate not valid"),
        (encrypted.database_url_with(NAME, &wrong_client.of_postgres("verify-full")), "alert"),
        (encrypted.database_url_with(NAME, &without(good)), "certificate"),
        (encrypted.database_url_with(NAME, "sslmode=disable"), "pg_hba.conf"),
    ];
    let roots_alone = format!("cacertfile={}", good.roots.display());
    let to_broker = [
        (encrypted.broker.client_url(NAME, &wrong_roots.of_broker()), "invalid peer certificate"),
        (encrypted.amqp_url(OTHER_NAME), "invalid peer certificate: certificate not valid"),
        (encrypted.broker.client_url(NAME, &wrong_client.of_broker()), "alert"),
        (encrypted.broker.client_url(NAME, &roots_alone), "alert"),
    ];
    let database_url = encrypted.database_url(NAME);
    let amqp_url = encrypted.amqp_url(NAME);
    let lenient = encrypted.database_url_with(OTHER_NAME, &good.of_postgres("verify-ca"));
    for (url, reason) in to_postgres {
        let process = &mut encrypted.platform.routers[0];
        process.clear_log();
        process.set("DATABASE_URL", &url);
        assert_unreachable(process, "database", reason).await;
    }
    encrypted.platform.routers[0].set("DATABASE_URL", &database_url);
    for (url, reason) in to_broker {
        let process = &mut encrypted.platform.routers[0];
        process.clear_log();
        process.set("AMQP_URL", &url);
        assert_unreachable(process, "broker", reason).await;
    }
    // verify-ca ignores the name, so nothing was wrong except the changed setting.
    let router = &mut encrypted.platform.routers[0];
    router.set("AMQP_URL", &amqp_url);
    router.set("DATABASE_URL", &lenient);
    router.start();
    router.wait_ready().await;
}
