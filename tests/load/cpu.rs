//! Processor time by part, which means something even on a busy machine, unlike wall time.

use std::collections::{BTreeMap, HashMap};

use e2e::platform::Platform;
use e2e::process::Process;

use crate::proc;

/// Ticks of `/proc` in a second (`USER_HZ`, the same on every Linux that we use).
const TICKS_A_SECOND: f64 = 100.0;
/// The name of the receiving threads; all other threads of this process make the load.
pub(crate) const RECEIVER: &str = "receiver";
/// The process that makes the load and judges it, which is no part of the platform.
pub(crate) const LOAD: &str = "load";
/// Titles of the PostgreSQL processes that work for all databases.
const SHARED_TITLES: [&str; 3] = ["checkpointer", "background writer", "walwriter"];

/// Seconds of processor by part.
pub(crate) type Seconds = BTreeMap<String, f64>;

/// The processes whose time is read.
#[derive(Debug)]
pub(crate) struct Meter {
    services: Vec<(&'static str, u32)>,
    broker: Option<u32>,
    database: String,
}

/// The processor time of each process and thread at the moment of reading.
#[derive(Debug)]
pub(crate) struct Reading(HashMap<(String, u32), u64>);

impl Meter {
    /// Finds the running services of a platform, and its servers.
    pub(crate) fn new(platform: &Platform) -> Self {
        let named = |name: &'static str, all: &[Process]| -> Vec<_> {
            all.iter().map(|process| (name, process.pid())).collect()
        };
        let services = [
            named("api", &platform.apis),
            named("router", &platform.routers),
            named("deliverer", &platform.deliverers),
        ];
        let database = platform.database_url();
        Self {
            services: services.concat(),
            broker: port_of(platform.amqp_url()).and_then(proc::listener_on),
            database: database.rsplit('/').next().unwrap_or_default().to_owned(),
        }
    }

    pub(crate) fn read_times(&self) -> Reading {
        let mut read = HashMap::new();
        let broker = self.broker.map(|pid| ("broker", pid));
        for (part, pid) in self.services.iter().copied().chain(broker) {
            if let Some((_, ticks)) = proc::read_ticks(&format!("/proc/{pid}/stat")) {
                read.insert((part.to_owned(), pid), ticks);
            }
        }
        for (part, pid) in proc::list_pids().filter_map(|pid| Some((self.part_of_postgres(pid)?, pid))) {
            if let Some((_, ticks)) = proc::read_ticks(&format!("/proc/{pid}/stat")) {
                read.insert((part.to_owned(), pid), ticks);
            }
        }
        for thread in proc::own_threads() {
            if let Some((name, ticks)) = proc::read_ticks(&format!("/proc/self/task/{thread}/stat")) {
                let part = if name == RECEIVER { RECEIVER } else { LOAD };
                read.insert((part.to_owned(), thread), ticks);
            }
        }
        Reading(read)
    }

    /// Returns the part of a PostgreSQL process: our database, or common to all databases.
    fn part_of_postgres(&self, pid: u32) -> Option<&'static str> {
        let line = proc::command_line(pid);
        let title = line.strip_prefix("postgres: ")?;
        if title.split([' ', '(']).any(|word| word == self.database) {
            return Some("postgres");
        }
        SHARED_TITLES.iter().any(|name| title.contains(name)).then_some("postgres for all")
    }

    /// Returns the memory of each service, in MiB, summed over its replicas.
    pub(crate) fn memory_mib(&self) -> BTreeMap<String, f64> {
        let mut memory = BTreeMap::new();
        for (part, pid) in &self.services {
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52 KiB")]
            let mib = proc::resident_kib(*pid) as f64 / 1024.0;
            *memory.entry((*part).to_owned()).or_default() += mib;
        }
        memory
    }
}

impl Reading {
    /// Returns the time since an earlier reading. The time of processes that ended in between is lost;
    /// connections stay open.
    pub(crate) fn time_since(&self, earlier: &Self) -> Seconds {
        let mut seconds = Seconds::new();
        for (who, ticks) in &self.0 {
            let spent = ticks.saturating_sub(earlier.0.get(who).copied().unwrap_or(0));
            #[expect(clippy::cast_precision_loss, reason = "far below 2^52 ticks")]
            let spent = spent as f64 / TICKS_A_SECOND;
            *seconds.entry(who.0.clone()).or_default() += spent;
        }
        seconds
    }
}

fn port_of(url: &str) -> Option<u16> {
    let host = url.split("://").nth(1)?.split('/').next()?;
    host.rsplit(':').next()?.parse().ok()
}
