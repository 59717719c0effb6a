//! A Prometheus of the test's own that scrapes a platform as `deploy/prometheus/prometheus.yml` says.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use crate::WAIT_TIMEOUT;
use crate::platform::Platform;
use crate::poll::eventually;
use crate::ports::Port;
use crate::process::{Process, http_get};

const CONFIG: &str = include_str!("../../deploy/prometheus/prometheus.yml");
const ALERTS: &str = include_str!("../../deploy/prometheus/alerts.yml");
/// The scrape interval, instead of [`USUAL_INTERVAL`].
const SCRAPE_INTERVAL: &str = "1s";
const USUAL_INTERVAL: &str = "15s";

/// A server that stops when it is dropped.
#[derive(Debug)]
pub struct Prometheus {
    port: Port,
    child: Child,
}

impl Prometheus {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    /// When Prometheus is not installed or does not start, or its configuration lacks the targets.
    pub async fn start(platform: &Platform) -> Self {
        let dir = platform.dir().join("prometheus");
        std::fs::create_dir_all(&dir).expect("a directory for Prometheus");
        let mut config = CONFIG.replace(USUAL_INTERVAL, SCRAPE_INTERVAL);
        for (usual, processes) in
            [(9100, &platform.apis), (9101, &platform.routers), (9102, &platform.deliverers)]
        {
            let target = |process: &Process| format!("\"{}\"", process.ops_address());
            let targets: Vec<String> = processes.iter().map(target).collect();
            let usual = format!("\"127.0.0.1:{usual}\"");
            assert_eq!(config.matches(&usual).count(), 1, "the configuration scrapes {usual}");
            config = config.replace(&usual, &targets.join(", "));
        }
        std::fs::write(dir.join("prometheus.yml"), config).expect("a configuration");
        std::fs::write(dir.join("alerts.yml"), ALERTS).expect("the alerts");
        let port = Port::reserve();
        let log = File::create(dir.join("log")).expect("a log file");
        let child = Command::new("prometheus")
            .current_dir(&dir)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg(format!("--web.listen-address={}", port.address()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("prometheus (the distribution's package has it)");
        let prometheus = Self { port, child };
        eventually("Prometheus is ready", WAIT_TIMEOUT, async || {
            match http_get(prometheus.port.address(), "/-/ready").await {
                Ok((200, _)) => Ok(()),
                other => Err(format!(
                    "{other:?}; {}",
                    std::fs::read_to_string(dir.join("log")).unwrap_or_default()
                )),
            }
        })
        .await;
        prometheus
    }

    /// Returns its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.port.address())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
