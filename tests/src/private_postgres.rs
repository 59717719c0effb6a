//! A PostgreSQL server of the test's own, which the test can stop and restart.

use std::fs::{File, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::WAIT_TIMEOUT;
use crate::database;
use crate::ports::Port;
use crate::process::send_signal;
use crate::settings::unique_name;
use crate::tls::PemIdentity;

/// Debian's directory of the servers, with one directory for each version.
const DEBIAN_DIR: &str = "/usr/lib/postgresql";

/// The account of the services on a server that asks for certificates.
pub const CLIENT: &str = "postrider";

/// Terminates the connections of all clients.
const TERMINATE_SQL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";

/// A server that stops when it is dropped.
#[derive(Debug)]
pub struct PrivatePostgres {
    bin: PathBuf,
    dir: PathBuf,
    port: Port,
    /// The user and group `postgres`, because PostgreSQL refuses to run as root.
    owner: Option<(u32, u32)>,
    child: Option<Child>,
}

impl PrivatePostgres {
    /// Starts an empty server and waits until it answers.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub async fn start() -> Self {
        let mut postgres = Self::prepare();
        postgres.restart().await;
        postgres
    }

    /// Starts a server that presents `server` and accepts [`CLIENT`] only over TLS, with a certificate in
    /// that name from the authority of `client_roots`. The tests' own account stays open.
    ///
    /// # Panics
    /// When PostgreSQL is not installed or does not start.
    pub async fn start_secure(server: &PemIdentity, client_roots: &str) -> Self {
        let mut postgres = Self::prepare();
        postgres.enable_tls(server, client_roots);
        postgres.restart().await;
        let admin = database::connect(&postgres.admin_url()).await.expect("the private PostgreSQL");
        admin.batch_execute(&format!("CREATE ROLE {CLIENT} SUPERUSER LOGIN")).await.expect("a role");
        postgres
    }

    fn enable_tls(&self, server: &PemIdentity, client_roots: &str) {
        let access = format!(
            "hostssl all {CLIENT} 127.0.0.1/32 cert\nhost all {CLIENT} all reject\nhost all all 127.0.0.1/32 trust\n"
        );
        for (name, text) in [
            ("server.crt", server.certificate.as_str()),
            ("server.key", &server.key),
            ("clients.crt", client_roots),
            ("pg_hba.conf", &access),
            ("postgresql.auto.conf", "ssl = on\nssl_ca_file = 'clients.crt'\n"),
        ] {
            let path = self.dir.join("data").join(name);
            std::fs::write(&path, text).expect("a file for PostgreSQL");
            std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("its permissions");
            if let Some((user, group)) = self.owner {
                chown(&path, Some(user), Some(group)).expect("a file of the user postgres");
            }
        }
    }

    /// Starts a standby that follows this server.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_standby(&self) -> Self {
        let mut standby = Self::prepare_directory();
        let output = standby
            .command("pg_basebackup")
            .args(["--host=127.0.0.1", "--username=postgres", "--write-recovery-conf", "--checkpoint=fast"])
            .arg(format!("--port={}", self.port.number()))
            .output()
            .expect("pg_basebackup");
        assert!(output.status.success(), "pg_basebackup: {}", String::from_utf8_lossy(&output.stderr));
        standby.restart().await;
        standby
    }

    /// Makes every commit wait for a standby.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn require_standby(&self) {
        let client = database::connect(&self.admin_url()).await.expect("the private PostgreSQL");
        for statement in ["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"] {
            client.batch_execute(statement).await.expect("the setting");
        }
    }

    /// Makes a standby the primary.
    ///
    /// # Panics
    /// When it does not become one.
    pub async fn promote(&self) {
        let client = database::connect(&self.admin_url()).await.expect("the private PostgreSQL");
        // It copied the setting, and has no standby itself.
        for statement in ["ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_promote()"] {
            client.batch_execute(statement).await.expect("it is promoted");
        }
    }

    /// Sends SIGSTOP to all of its processes, as on a machine that hangs.
    pub fn freeze(&self) {
        let parent = self.server_id();
        // The parent first, so that it starts no further process.
        send_signal(parent, "STOP");
        list_children(parent).into_iter().for_each(|process| send_signal(process, "STOP"));
    }

    /// Sends SIGCONT to all of its processes.
    pub fn unfreeze(&self) {
        let parent = self.server_id();
        // The parent last: until then a process that ends remains as a zombie, which takes a signal.
        list_children(parent).into_iter().for_each(|process| send_signal(process, "CONT"));
        send_signal(parent, "CONT");
    }

    fn server_id(&self) -> u32 {
        self.child.as_ref().expect("a running server").id()
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    fn prepare() -> Self {
        let postgres = Self::prepare_directory();
        postgres.run_initdb();
        postgres
    }

    fn prepare_directory() -> Self {
        let dir = std::env::temp_dir().join(format!("postrider-e2e-postgres-{}", unique_name()));
        std::fs::create_dir_all(&dir).expect("a directory for PostgreSQL");
        let owner = find_owner();
        if let Some((user, group)) = owner {
            chown(&dir, Some(user), Some(group)).expect("a directory of the user postgres");
        }
        Self { bin: find_bin_dir(), dir, port: Port::reserve(), owner, child: None }
    }

    fn run_initdb(&self) {
        let output = self
            .command("initdb")
            .args(["--username=postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"])
            .output()
            .expect("initdb");
        assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(&self.dir).arg("-D").arg(self.dir.join("data"));
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    /// Returns the URL of a database in which `CREATE DATABASE` is allowed.
    #[must_use]
    pub fn admin_url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port.number())
    }

    /// Returns a URL of `database` for [`CLIENT`], with this name of the machine.
    #[must_use]
    pub fn client_url(&self, host: &str, database: &str, query: &str) -> String {
        format!("postgres://{CLIENT}@{host}:{}/{database}?{query}", self.port.number())
    }

    /// `kill -9` of the whole server.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Shuts the server down fast, so that connections are cut and the state is written.
    ///
    /// # Panics
    /// When it does not run.
    pub fn stop(&mut self) {
        let mut child = self.child.take().expect("a running server");
        send_signal(child.id(), "INT");
        let _ = child.wait();
    }

    /// Terminates all connections except its own, from inside the server.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn terminate_connections(&self) {
        let client = database::connect(&self.admin_url()).await.expect("the private PostgreSQL");
        client.batch_execute(TERMINATE_SQL).await.expect("the connections end");
    }

    /// Starts it again with its state, and waits until it answers.
    pub async fn restart(&mut self) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while !self.is_answering().await {
            assert!(Instant::now() < deadline, "the private PostgreSQL does not answer: {}", self.read_log());
            // A killed server leaves its children behind for a moment, and refuses to start beside them.
            if self.child.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None))) {
                self.child = None;
                self.launch();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Starts it without waiting for it.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.dir.join("log")).expect("a log file");
        let child = self
            .command("postgres")
            .args(["-p", &self.port.number().to_string(), "-c", "listen_addresses=127.0.0.1", "-k", "", "-c"])
            .args(["max_connections=200"])
            // The kernel keeps the writes of a killed server; only the end of the machine would lose them.
            .args(["-c", "fsync=off"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("postgres"));
    }

    async fn is_answering(&self) -> bool {
        match database::connect(&self.admin_url()).await {
            Ok(client) => client.batch_execute("SELECT 1").await.is_ok(),
            Err(_) => false,
        }
    }

    fn read_log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Returns the processes that a process has started.
fn list_children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let number = |entry: std::fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    let is_child = |process: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
        status
            .lines()
            .any(|line| line.strip_prefix("PPid:").is_some_and(|id| id.trim() == parent.to_string()))
    };
    processes.filter_map(number).filter(is_child).collect()
}

/// Returns the directory of the newest installed server.
fn find_bin_dir() -> PathBuf {
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let installed = std::fs::read_dir(DEBIAN_DIR).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = installed.filter(|path| path.join("bin/initdb").is_file()).max_by_key(|path| version(path));
    newest.map(|path| path.join("bin")).expect(
        "PostgreSQL's server is installed: the tests of its restart start a server of their own \
         (deploy/test installs the package postgresql)",
    )
}

/// Returns the user and group `postgres` when this test runs as root.
fn find_owner() -> Option<(u32, u32)> {
    let id = |args: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(args).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    (id(&["-u"])? == 0).then_some(())?;
    Some((id(&["-u", "postgres"])?, id(&["-g", "postgres"])?))
}
