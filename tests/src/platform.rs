//! A whole platform for one test, with its own database and broker namespace and the requested number of
//! processes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use tokio::sync::OnceCell;

use crate::api::Api;
use crate::binaries;
use crate::brand::Brand;
use crate::database::{self, TestDatabase};
use crate::ports::Port;
use crate::process::Process;
use crate::producer::Producer;
use crate::rabbit::Rabbit;
use crate::secret_scan;
use crate::settings::{amqp_url, database_url, unique_name};
use crate::test_cleanup::{self, CleanupRecord, TestResources};
use crate::tls::{Authority, install_crypto};

/// The services.
const SERVICES: [&str; 3] = ["subscription-api", "router", "deliverer"];
/// The default retry delays.
const DEFAULT_DELAYS: &str = "5s,30s,2m,5m,10m,20m";
/// Maximum number of rows of each table in the search, more than any test leaves except the long one of
/// faults.
const MAX_DUMPED_ROWS: usize = 100_000;
/// How long the search in the database may take.
const DUMP_TIMEOUT: Duration = Duration::from_secs(60);
/// Time between two tries, because PostgreSQL may have no connection left for a moment.
const DUMP_INTERVAL: Duration = Duration::from_millis(500);

/// A platform before its start.
#[derive(Debug)]
pub struct Builder {
    settings: Vec<(String, String)>,
    apis: usize,
    routers: usize,
    deliverers: usize,
    amqp_url: String,
    database_url: String,
    search_secrets: bool,
}

impl Builder {
    /// Gives all processes this setting, by its variable.
    #[must_use]
    pub fn set(mut self, setting: &str, value: &str) -> Self {
        self.settings.push((setting.to_owned(), value.to_owned()));
        self
    }

    /// Sets the retry delays, such as `1s,2s,1s`.
    #[must_use]
    pub fn retries(self, delays: &str) -> Self {
        self.set("POSTRIDER_RETRY_DELAYS", delays)
    }

    /// Sets this first delay, followed by more delays of a second than an endpoint's script uses.
    #[must_use]
    pub fn many_retries(self, first: &str) -> Self {
        self.retries(&format!("{first}{}", ",1s".repeat(30)))
    }

    /// Sets the delivery window, such as `2s`.
    #[must_use]
    pub fn window(self, window: &str) -> Self {
        self.set("POSTRIDER_RETRY_WINDOW", window)
    }

    /// Makes each delivery fail with its first attempt, because the retry would come after the window.
    #[must_use]
    pub fn one_attempt(self) -> Self {
        self.retries("5s").window("1s")
    }

    /// Stops the platform from disabling a webhook for its failures, unless it is gone.
    #[must_use]
    pub fn without_health_rule(self) -> Self {
        self.set("POSTRIDER_HEALTH_MIN_ATTEMPTS", "1000000")
            .set("POSTRIDER_HEALTH_FAILED_DELIVERIES", "1000000")
    }

    /// Removes the rate limit of tokens.
    #[must_use]
    pub fn unlimited_requests(self) -> Self {
        self.set("POSTRIDER_TOKEN_RATE", "100000")
    }

    /// Leaves out the search for secrets at the end, because the test leaves too much to search in time.
    #[must_use]
    pub fn without_secret_search(mut self) -> Self {
        self.search_secrets = false;
        self
    }

    /// Sets the number of APIs.
    #[must_use]
    pub fn apis(mut self, number: usize) -> Self {
        self.apis = number;
        self
    }

    /// Sets the number of routers.
    #[must_use]
    pub fn routers(mut self, number: usize) -> Self {
        self.routers = number;
        self
    }

    /// Sets the number of deliverers.
    #[must_use]
    pub fn deliverers(mut self, number: usize) -> Self {
        self.deliverers = number;
        self
    }

    /// Chooses the broker.
    #[must_use]
    pub fn broker(mut self, amqp_url: &str) -> Self {
        amqp_url.clone_into(&mut self.amqp_url);
        self
    }

    /// Chooses the PostgreSQL server.
    #[must_use]
    pub fn postgres(mut self, admin_url: &str) -> Self {
        admin_url.clone_into(&mut self.database_url);
        self
    }

    /// Returns the delay queues and their exchanges.
    fn delay_queue_names(&self) -> Vec<String> {
        let delays = self.settings.iter().find(|(name, _)| name == "POSTRIDER_RETRY_DELAYS");
        let delays = delays.map_or(DEFAULT_DELAYS, |(_, delays)| delays);
        let different: BTreeSet<&str> = delays.split(',').chain(["1s"]).collect();
        different.into_iter().map(delay_queue_name).collect()
    }

    /// Creates the database, starts the processes and waits until all are ready.
    pub async fn start(self) -> Platform {
        let mut platform = self.prepare().await;
        platform.start_all().await;
        platform
    }

    /// Creates the database and prepares the processes without starting them.
    ///
    /// # Panics
    /// When a server is unreachable.
    pub async fn prepare(self) -> Platform {
        install_crypto();
        // Checked before the test creates anything that it would have to remove.
        let _ = SERVICES.map(binaries::binary_path);
        let unique = unique_name();
        test_cleanup::remove_abandoned().await;
        let dir = test_cleanup::directory(&unique);
        std::fs::create_dir_all(&dir).expect("a directory for this test");
        let namespace = format!("t{unique}");
        let database = TestDatabase::create(&self.database_url, &unique).await;
        let amqp_url = self.amqp_url.clone();
        let names = self.delay_queue_names();
        let resources = TestResources { amqp_url, namespace: namespace.clone(), database, names };
        let record = resources.write_record(&dir);
        let authority = Authority::generate();
        authority.write(&dir.join("ca.pem"));
        let mut platform = Platform {
            namespace,
            support_token: format!("support-{}", uuid::Uuid::new_v4()),
            api_port: Vec::new(),
            apis: Vec::new(),
            routers: Vec::new(),
            deliverers: Vec::new(),
            settings: Vec::new(),
            producer: OnceCell::new(),
            rabbit: OnceCell::new(),
            dir,
            resources,
            record,
            authority,
            search_secrets: self.search_secrets,
        };
        platform.settings = platform.common_settings(&self.settings);
        platform.add_processes(self.apis, self.routers, self.deliverers);
        platform
    }
}

/// A running platform, which kills its processes and removes its database and queues when it is dropped.
#[derive(Debug)]
pub struct Platform {
    /// Prefix of its names in the broker.
    pub namespace: String,
    /// The support token.
    pub support_token: String,
    /// The API processes.
    pub apis: Vec<Process>,
    /// The routers.
    pub routers: Vec<Process>,
    /// The deliverers.
    pub deliverers: Vec<Process>,
    /// The authority whose certificates the deliverers trust.
    pub authority: Authority,
    api_port: Vec<Port>,
    settings: Vec<(String, String)>,
    resources: TestResources,
    record: CleanupRecord,
    producer: OnceCell<Producer>,
    rabbit: OnceCell<Rabbit>,
    dir: PathBuf,
    search_secrets: bool,
}

impl Platform {
    /// Prepares one process of each service on the servers of the settings.
    #[must_use]
    pub fn builder() -> Builder {
        let amqp_url = amqp_url();
        let database_url = database_url();
        Builder {
            settings: Vec::new(),
            apis: 1,
            routers: 1,
            deliverers: 1,
            amqp_url,
            database_url,
            search_secrets: true,
        }
    }

    /// Starts one process of each service.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    fn common_settings(&self, chosen: &[(String, String)]) -> Vec<(String, String)> {
        let key: Vec<u8> = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(uuid::Uuid::into_bytes).concat();
        let mut settings: Vec<(String, String)> = [
            ("DATABASE_URL", self.resources.database.url()),
            ("AMQP_URL", self.resources.amqp_url.clone()),
            ("POSTRIDER_NAMESPACE", self.namespace.clone()),
            ("POSTRIDER_MASTER_KEY", STANDARD.encode(key)),
            ("POSTRIDER_SUPPORT_TOKEN", self.support_token.clone()),
            ("POSTRIDER_ALLOW_NETWORKS", "127.0.0.0/8".to_owned()),
            // Tests ask for filtered pages every few milliseconds until they see a state, and such a page counts as
            // several requests. Tests of the rate set their own.
            ("POSTRIDER_TOKEN_RATE", "1000".to_owned()),
            ("POSTRIDER_EXTRA_CA_FILE", self.dir.join("ca.pem").display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for (name, value) in chosen {
            settings.retain(|(other, _)| other != name);
            settings.push((name.clone(), value.clone()));
        }
        for (name, value) in &settings {
            if ["POSTRIDER_MASTER_KEY", "POSTRIDER_SUPPORT_TOKEN"].contains(&name.as_str()) {
                secret_scan::add_secret(value);
            }
        }
        settings
    }

    fn add_processes(&mut self, apis: usize, routers: usize, deliverers: usize) {
        for _ in 0..apis {
            let port = Port::reserve();
            let mut api = self.create_process("subscription-api", self.apis.len());
            api.set("POSTRIDER_API_LISTEN", &port.address().to_string());
            self.apis.push(api);
            self.api_port.push(port);
        }
        for number in 0..routers {
            self.routers.push(self.create_process("router", number));
        }
        for number in 0..deliverers {
            self.deliverers.push(self.create_process("deliverer", number));
        }
    }

    /// Adds another deliverer as the last of [`Self::deliverers`], without starting it.
    ///
    /// # Panics
    /// Never, because it has just added the deliverer.
    pub fn add_deliverer(&mut self) -> &mut Process {
        self.add_processes(0, 0, 1);
        self.deliverers.last_mut().expect("it was just added")
    }

    fn create_process(&self, service: &str, number: usize) -> Process {
        Process::new(service, &format!("{service}-{number}"), self.settings.clone(), &self.dir)
    }

    /// Starts all processes and waits until they are ready.
    pub async fn start_all(&mut self) {
        for process in self.processes_mut() {
            process.start();
        }
        join_all(self.processes_mut().map(Process::wait_ready)).await;
    }

    /// Returns all processes.
    pub fn processes_mut(&mut self) -> impl Iterator<Item = &mut Process> {
        self.apis.iter_mut().chain(&mut self.routers).chain(&mut self.deliverers)
    }

    fn processes(&self) -> impl Iterator<Item = &Process> {
        self.apis.iter().chain(&self.routers).chain(&self.deliverers)
    }

    /// Returns the API with the support token.
    #[must_use]
    pub fn support(&self) -> Api {
        Api::new(self.api_address(), Some(&self.support_token))
    }

    /// Returns this one of several APIs with the support token.
    #[must_use]
    pub fn support_of(&self, api: usize) -> Api {
        Api::new(self.api_port[api].address(), Some(&self.support_token))
    }

    /// Returns the address of the first API.
    #[must_use]
    pub fn api_address(&self) -> SocketAddr {
        self.api_port[0].address()
    }

    /// Creates a brand that may receive all notifications.
    pub async fn create_brand(&self, id: &str) -> Brand {
        Brand::create(&self.support(), id, &["NOTIFICATION"]).await
    }

    /// Returns the broker's URL.
    #[must_use]
    pub fn amqp_url(&self) -> &str {
        &self.resources.amqp_url
    }

    /// Returns the database's URL.
    #[must_use]
    pub fn database_url(&self) -> String {
        self.resources.database.url()
    }

    /// Returns the directory of this test.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns a producer, which is connected once.
    ///
    /// # Panics
    /// When the broker does not answer.
    pub async fn producer(&self) -> &Producer {
        let connect = || async {
            Producer::connect(&self.resources.amqp_url, &self.namespace).await.expect("the broker")
        };
        self.producer.get_or_init(connect).await
    }

    /// Returns the broker's client, which is connected once.
    ///
    /// # Panics
    /// When the broker does not answer.
    pub async fn rabbit(&self) -> &Rabbit {
        let connect = || async {
            Rabbit::connect(&self.resources.amqp_url, &self.namespace).await.expect("the broker")
        };
        self.rabbit.get_or_init(connect).await
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        for process in self.processes_mut() {
            process.kill();
        }
        if std::thread::panicking() {
            self.processes().for_each(|process| eprintln!("{}", process.log_tail()));
        }
        // Runs in a thread of its own, because this one may be inside the test's runtime.
        let findings = std::thread::scope(|scope| scope.spawn(|| self.clean_up()).join());
        if !std::thread::panicking() {
            let findings = findings.expect("the thread that cleans up");
            assert!(
                findings.is_empty(),
                "secrets that leaked, or places that could not be searched: {findings:#?}"
            );
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

impl Platform {
    /// Searches for secrets in everything that is left, and removes it from the servers. Returns what it
    /// found or could not search.
    fn clean_up(&self) -> Vec<String> {
        let mut places = if self.search_secrets { secret_scan::read_logs(&self.dir) } else { Vec::new() };
        let mut unseen = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            if self.search_secrets {
                // A server of the test's own may have stopped already.
                let is_own = self.resources.database.admin_url() != database_url();
                match self.dump_database(!is_own).await {
                    Ok(dump) => places.push(("the database".to_owned(), dump)),
                    Err(_) if is_own => {}
                    Err(error) => unseen.push(format!("the database: {error}")),
                }
            }
            if self.resources.remove_all().await.is_ok() {
                self.record.delete();
            }
        });
        unseen.extend(secret_scan::find_secrets(&places));
        unseen
    }

    async fn dump_database(&self, again: bool) -> Result<Vec<u8>, String> {
        let url = self.database_url();
        let mut failure = None;
        let dumping = async {
            loop {
                match database::dump_rows(&url, MAX_DUMPED_ROWS).await {
                    Err(error) if again => failure = Some(error.to_string()),
                    dumped => return dumped.map_err(|error| error.to_string()),
                }
                tokio::time::sleep(DUMP_INTERVAL).await;
            }
        };
        let dumped = tokio::time::timeout(DUMP_TIMEOUT, dumping).await;
        dumped.unwrap_or_else(|_| Err(failure.unwrap_or_else(|| "it does not answer".to_owned())))
    }
}

/// Returns the name of the delay queue of a delay such as `10m`.
fn delay_queue_name(delay: &str) -> String {
    match delay.strip_suffix('m').and_then(|minutes| minutes.parse::<u64>().ok()) {
        Some(minutes) => format!("wait.{}s", minutes * 60),
        None => format!("wait.{delay}"),
    }
}
