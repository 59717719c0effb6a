//! The source of the servers' programs, which is this machine's packages or a Debian root beside it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tokio::net::TcpStream;

use crate::WAIT_TIMEOUT;
use crate::poll::eventually;
use crate::ports::Port;

/// The variable with the directory of a Debian root that holds RabbitMQ 4.
const RABBITMQ_4_ROOT: &str = "E2E_RABBITMQ_4_ROOT";
/// Paths of the scripts in distributions, without the wrapper that changes users.
const SCRIPT_DIRS: [&str; 3] = ["/usr/lib/rabbitmq/bin", "/usr/local/sbin", "/opt/rabbitmq/sbin"];
/// Erlang's port mapper in a Debian root.
const PORT_MAPPER: &str = "/usr/bin/epmd";
/// Raises the limit to three handles for each quorum queue; a limit that cannot be raised stays.
const RAISE_FILE_LIMIT: &str = "ulimit -n 65536 2>/dev/null || ulimit -n \"$(ulimit -Hn)\"";
/// Runs `"$@"` in the root `$0` with the directory `$SHARED` at its own path. The mounts are in a namespace
/// of their own, so that they are gone when the last process in it ends.
const ENTER_ROOT: &str = "mkdir -p \"$0$SHARED\" && mount --bind \"$SHARED\" \"$0$SHARED\" \
                          && mount --rbind /proc \"$0/proc\" && mount --rbind /dev \"$0/dev\" \
                          && exec chroot \"$0\" \"$@\"";
/// A RabbitMQ server that nodes can be started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// The installed package of this machine.
    Installed,
    /// The package in the Debian root of this directory.
    Root(PathBuf),
}

impl Server {
    /// Returns RabbitMQ 4 from the root that `deploy/test` creates.
    ///
    /// # Panics
    /// When `E2E_RABBITMQ_4_ROOT` is not set, because a test that ran without it would prove nothing.
    #[must_use]
    pub fn rabbitmq_4() -> Self {
        let root = std::env::var_os(RABBITMQ_4_ROOT).unwrap_or_else(|| {
            panic!("{RABBITMQ_4_ROOT} is not set: deploy/test makes a Debian 13 root and sets it")
        });
        Self::Root(PathBuf::from(root))
    }

    /// Returns a command that becomes the program at this path of a package.
    pub(crate) fn program(&self, path: &str) -> Command {
        match self {
            Self::Installed => Command::new(path),
            Self::Root(root) => enter_root(root, Path::new(path)),
        }
    }

    /// Returns a command that becomes one of RabbitMQ's scripts, so that signals reach the script.
    ///
    /// # Panics
    /// When RabbitMQ is not installed.
    pub(crate) fn script(&self, name: &str) -> Command {
        let paths = || SCRIPT_DIRS.into_iter().map(|dir| Path::new(dir).join(name));
        match self {
            Self::Installed => {
                let path = paths().find(|path| path.is_file()).expect(
                    "RabbitMQ's server is installed: tests start nodes of their own \
                     (deploy/test installs the package rabbitmq-server)",
                );
                let mut command = Command::new("sh");
                command.args(["-c", &format!("{RAISE_FILE_LIMIT}; exec \"$0\" \"$@\"")]).arg(path);
                command
            }
            Self::Root(root) => enter_root(root, &Path::new(SCRIPT_DIRS[0]).join(name)),
        }
    }
}

/// Returns a command that becomes this program of a root.
fn enter_root(root: &Path, program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--", "sh", "-c", &format!("{RAISE_FILE_LIMIT}; {ENTER_ROOT}")]);
    command.args([root, program]).env("SHARED", std::env::temp_dir());
    command
}

/// A port mapper of Erlang for one test. Nodes of a root need one because otherwise the first of them would
/// start a port mapper that outlives the test and keeps the mounts.
#[derive(Debug)]
pub(crate) struct PortMapper {
    port: Port,
    child: Child,
}

impl PortMapper {
    /// Starts one for nodes of this server, unless they use the machine's.
    ///
    /// # Panics
    /// When it cannot be started.
    pub(crate) async fn start_for(server: &Server) -> Option<Self> {
        let Server::Root(root) = server else { return None };
        let port = Port::reserve();
        let child = enter_root(root, Path::new(PORT_MAPPER))
            .args(["-port", &port.number().to_string(), "-address", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        let mapper = Self { child: child.expect("unshare"), port };
        eventually("the port mapper answers", WAIT_TIMEOUT, async || {
            TcpStream::connect(mapper.port.address()).await.map_err(|error| error.to_string())
        })
        .await;
        Some(mapper)
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }
}

impl Drop for PortMapper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
