//! A PgBouncer of the test's own, in front of a PostgreSQL server.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::WAIT_TIMEOUT;
use crate::database;
use crate::poll::eventually;
use crate::ports::Port;
use crate::rabbit_server::Server;
use crate::settings::unique_name;

/// The path in Debian.
const PROGRAM: &str = "/usr/sbin/pgbouncer";
/// The account that it runs as, because it refuses to run as root.
const ACCOUNT: &str = "nobody";

/// A pooler that stops when it is dropped.
#[derive(Debug)]
pub struct PrivatePgBouncer {
    port: Port,
    dir: PathBuf,
    child: Child,
}

impl PrivatePgBouncer {
    /// Starts the program of this server's packages in front of the PostgreSQL at `port`, with further lines of its
    /// configuration, and waits until it answers.
    ///
    /// # Panics
    /// When it is not installed or does not start.
    pub async fn start(server: &Server, postgres_port: u16, configuration: &str) -> Self {
        let port = Port::reserve();
        let dir = std::env::temp_dir().join(format!("postrider-e2e-pgbouncer-{}", unique_name()));
        std::fs::create_dir_all(&dir).expect("a directory for PgBouncer");
        std::fs::set_permissions(&dir, Permissions::from_mode(0o755)).expect("its permissions");
        let accounts = dir.join("accounts");
        let file = dir.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={postgres_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\nmax_client_conn = 500\ndefault_pool_size = 100\n{configuration}\n",
            port.number(),
            accounts.display()
        );
        std::fs::write(&accounts, "\"postgres\" \"\"\n").expect("a file for PgBouncer");
        std::fs::write(&file, text).expect("a file for PgBouncer");
        let log = std::fs::File::create(dir.join("log")).expect("a log file");
        let child = command(server)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn();
        let mut bouncer = Self { port, dir, child: child.expect("PgBouncer") };
        eventually("PgBouncer answers", WAIT_TIMEOUT, async || {
            database::connect(&bouncer.url("postgres")).await.map(drop).map_err(|error| error.to_string())
        })
        .await;
        assert!(matches!(bouncer.child.try_wait(), Ok(None)), "{}", bouncer.read_log());
        bouncer
    }

    /// Returns whether the program keeps prepared statements in transaction mode, if it is told to (1.21 or later).
    ///
    /// # Panics
    /// When it is not installed.
    #[must_use]
    pub fn knows_prepared_statements(server: &Server) -> bool {
        let output = server.program(PROGRAM).arg("--version").output().expect(
            "PgBouncer is installed: tests start poolers of their own (deploy/test installs the package pgbouncer)",
        );
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.split_whitespace().nth(1).unwrap_or_default();
        let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
        (numbers.next(), numbers.next()) >= (Some(1), Some(21))
    }

    /// Returns the URL of a database behind it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port.number())
    }

    fn read_log(&self) -> String {
        std::fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

fn command(server: &Server) -> Command {
    let mut command = server.program(PROGRAM);
    if is_root() {
        command.args(["-u", ACCOUNT]);
    }
    command
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output();
    output.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

impl Drop for PrivatePgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}
