//! One process of a service, which the test starts, watches, kills, freezes and restarts.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::poll::eventually;
use crate::ports::Port;
use crate::{WAIT_TIMEOUT, binaries};

/// Maximum number of log bytes that a failed test shows.
const MAX_SHOWN_LOG_BYTES: usize = 12_000;

/// Paths of libfaketime in distributions, in its build for threads.
const FAKETIME: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
];

/// A service process, which is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    service: String,
    name: String,
    binary: PathBuf,
    environment: Vec<(String, String)>,
    ops: Port,
    log: PathBuf,
    child: Option<Child>,
}

/// Resident memory in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Now.
    pub now: u64,
    /// The maximum.
    pub peak: u64,
}

impl Process {
    /// Prepares a process of `service` with these settings, without starting it. Its log goes to a file in
    /// `dir`, named by `name`.
    #[must_use]
    pub fn new(service: &str, name: &str, environment: Vec<(String, String)>, dir: &Path) -> Self {
        let ops = Port::reserve();
        let log = dir.join(format!("{name}.log"));
        let mut process = Self {
            service: service.to_owned(),
            name: name.to_owned(),
            binary: binaries::binary_path(service),
            environment,
            ops,
            log,
            child: None,
        };
        process.set("POSTRIDER_OPS_LISTEN", &process.ops.address().to_string());
        process
    }

    /// Gives it a clock that [`Self::step_clock`] can change, from the next start on.
    ///
    /// # Panics
    /// When libfaketime is not installed.
    pub fn use_fake_clock(&mut self) {
        let library = FAKETIME.into_iter().find(|path| Path::new(path).is_file()).expect(
            "libfaketime is installed: tests step the clock of a process \
             (deploy/test installs the package libfaketime)",
        );
        self.step_clock(0);
        self.set("LD_PRELOAD", library);
        self.set("FAKETIME_TIMESTAMP_FILE", &self.clock_file().display().to_string());
        // Only the wall clock is stepped, as an administrator or NTP would.
        self.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        self.set("FAKETIME_CACHE_DURATION", "1");
    }

    /// Steps its clock to this number of seconds before or after the true time, which it sees within a
    /// second.
    ///
    /// # Panics
    /// When the step cannot be written.
    pub fn step_clock(&self, seconds: i64) {
        std::fs::write(self.clock_file(), format!("{seconds:+}s\n")).expect("the file of a clock");
    }

    fn clock_file(&self) -> PathBuf {
        self.log.with_extension("clock")
    }

    /// Changes a setting for the next start.
    pub fn set(&mut self, setting: &str, value: &str) {
        self.unset(setting);
        self.environment.push((setting.to_owned(), value.to_owned()));
    }

    /// Returns a setting of the next start.
    ///
    /// # Panics
    /// When it has none of this name.
    #[must_use]
    pub fn setting(&self, setting: &str) -> String {
        let found = self.environment.iter().find(|(name, _)| name == setting);
        found.map(|(_, value)| value.clone()).expect("a setting of this name")
    }

    /// Removes a setting for the next start.
    pub fn unset(&mut self, setting: &str) {
        self.environment.retain(|(name, _)| name != setting);
    }

    /// Makes it run the binary of this folder from the next start on, such as an earlier release's; without a
    /// folder, this build's.
    pub fn use_binaries_from(&mut self, dir: Option<&Path>) {
        self.binary = dir.map_or_else(|| binaries::binary_path(&self.service), |dir| dir.join(&self.service));
    }

    /// Starts it with no environment except its settings.
    ///
    /// # Panics
    /// When it runs already or cannot be started.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = File::options().create(true).append(true).open(&self.log).expect("a log file");
        let child = Command::new(&self.binary)
            .env_clear()
            .env("RUST_LOG", std::env::var("E2E_LOG").unwrap_or_else(|_| "info".to_owned()))
            .env("RUST_BACKTRACE", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap_or_else(|e| panic!("{}: {e}", self.binary.display())));
    }

    /// Returns its name in the test.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its operations listener.
    #[must_use]
    pub fn ops_address(&self) -> SocketAddr {
        self.ops.address()
    }

    /// Waits until `/readyz` is 200.
    ///
    /// # Panics
    /// When it exits or is not ready in time.
    pub async fn wait_ready(&mut self) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            assert!(self.is_running(), "{} ended: {}", self.name, self.log_tail());
            match http_get(self.ops_address(), "/readyz").await {
                Ok((200, _)) => return,
                seen => assert!(Instant::now() < deadline, "{} is not ready: {seen:?}", self.name),
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    /// Waits until `/readyz` answers with this status, and returns the body.
    pub async fn wait_readyz(&self, status: u16) -> String {
        eventually(&format!("{} answers /readyz with {status}", self.name), WAIT_TIMEOUT, async || {
            match http_get(self.ops_address(), "/readyz").await {
                Ok((seen, body)) if seen == status => Ok(body),
                seen => Err(format!("{seen:?}")),
            }
        })
        .await
    }

    /// Returns the value of a metric, summed over its labels; 0 when it does not exist.
    ///
    /// # Panics
    /// When `/metrics` does not answer in time.
    pub async fn read_metric(&self, name: &str) -> f64 {
        // A single request may fail on a busy machine.
        let text = eventually(&format!("{} answers /metrics", self.name), WAIT_TIMEOUT, async || {
            match http_get(self.ops_address(), "/metrics").await {
                Ok((200, text)) => Ok(text),
                failed => Err(format!("{failed:?}")),
            }
        })
        .await;
        let value = |line: &str| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with(['{', ' ']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        };
        text.lines().filter_map(value).sum()
    }

    /// Returns whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Returns its memory now, and its peak since [`Self::reset_peak`], in bytes.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn read_memory(&self) -> Memory {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("a running process");
        let kib = |field: &str| {
            let line = status.lines().find(|line| line.starts_with(field)).expect("a field of its status");
            line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number")
        };
        Memory { now: kib("VmRSS:") * 1024, peak: kib("VmHWM:") * 1024 }
    }

    /// Returns the number of its threads.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn count_threads(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("a running process").count()
    }

    /// Resets [`Memory::peak`] (proc(5), `clear_refs`).
    ///
    /// # Panics
    /// When the kernel does not allow it.
    pub fn reset_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.pid()), "5").expect("the peak begins anew");
    }

    /// Returns its process id.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running process").id()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Sends SIGTERM, waits until it has exited, and returns its status and the time that it took.
    ///
    /// # Panics
    /// When it does not run, or has not exited in time.
    pub async fn terminate(&mut self) -> (ExitStatus, Duration) {
        let began = Instant::now();
        self.signal("TERM");
        let mut child = self.child.take().expect("a running process");
        let status = eventually(&format!("{} leaves after SIGTERM", self.name), WAIT_TIMEOUT, || {
            let left = child.try_wait();
            async { left.map_err(|e| e.to_string())?.ok_or_else(|| "it still runs".to_owned()) }
        })
        .await;
        (status, began.elapsed())
    }

    /// Waits until it exits without a signal.
    pub async fn wait_exit(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running process");
        eventually(&format!("{} ends", self.name), WAIT_TIMEOUT, || {
            let left = child.try_wait();
            async { left.map_err(|e| e.to_string())?.ok_or_else(|| "it still runs".to_owned()) }
        })
        .await
    }

    /// Sends SIGSTOP, so that the process stands still with open connections.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Sends SIGCONT.
    pub fn unfreeze(&self) {
        self.signal("CONT");
    }

    /// Kills it with -9, and starts it again.
    pub fn crash(&mut self) {
        self.kill();
        self.start();
    }

    /// Kills it with -9, starts it, and waits until it is ready.
    pub async fn crash_and_restart(&mut self) {
        self.crash();
        self.wait_ready().await;
    }

    /// Sends it a signal, by its name without `SIG`.
    pub fn signal(&self, signal: &str) {
        send_signal(self.pid(), signal);
    }

    /// Empties its log, so that later content is new.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn clear_log(&self) {
        std::fs::write(&self.log, "").expect("a log file");
    }

    /// Returns its whole log.
    #[must_use]
    pub fn read_log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Returns the end of its log, under its name.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.read_log();
        let mut from = log.len().saturating_sub(MAX_SHOWN_LOG_BYTES);
        while !log.is_char_boundary(from) {
            from += 1;
        }
        format!("── {} ({}) ──\n{}\n", self.name, self.log.display(), &log[from..])
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal by name. (It uses the shell's `kill`, because std offers none without `unsafe`.)
///
/// # Panics
/// When it cannot be sent.
pub fn send_signal(pid: u32, signal: &str) {
    let sent = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status();
    assert!(sent.is_ok_and(|status| status.success()), "cannot send SIG{signal} to {pid}");
}

/// Requests `GET path` over plain HTTP, and returns status and body.
///
/// # Errors
/// When nothing answers.
pub async fn http_get(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    tokio::time::timeout(Duration::from_secs(5), send_get(address, path)).await?
}

async fn send_get(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    Ok((status, body))
}
