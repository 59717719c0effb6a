//! The phases of a scenario: the victim alone, the victim beside the attack, and a restart of each service
//! in the middle of it.

use std::time::{Duration, Instant};

use e2e::poll::eventually;

use crate::arena::{Arena, SERVICES, Service};
use crate::attack::Attack;
use crate::processor::{Share, Ticks};
use crate::samples::Window;
use crate::size;
use crate::verdict::Verdict;

/// How long the victim's traffic runs before it is measured, so that connections and caches are in use.
const WARM_UP: Duration = Duration::from_secs(2);
/// How long the victim's flow may take to come back before a scenario gives up.
const FLOW_TIMEOUT: Duration = Duration::from_secs(120);

/// How long the end of a window waits for its last deliveries and calls.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Interval of the looks at them.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Memory of a service's largest replica.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct MemoryUse {
    /// Bytes before the attack.
    pub(crate) idle: u64,
    /// The maximum since then, with every restart.
    pub(crate) peak: u64,
}

/// A scenario under way.
#[derive(Debug)]
pub(crate) struct Contest {
    pub(crate) arena: Arena,
    /// The shared resource.
    pub(crate) resource: &'static str,
    pub(crate) before: Window,
    pub(crate) beside: Window,
    /// Memory, in the order of [`SERVICES`].
    pub(crate) memory: [MemoryUse; 3],
    /// Time from each restart to the victim's flow, in the order of [`SERVICES`].
    pub(crate) recoveries: Vec<Duration>,
    /// Time until a webhook that the victim created beside the attack was called.
    pub(crate) change: Result<Duration, String>,
    pub(crate) processor_before: Share,
    pub(crate) processor_beside: Share,
    /// Lines that the services have logged before the attack.
    pub(crate) logged_before: usize,
    /// Further failures.
    pub(crate) failures: Vec<String>,
}

impl Contest {
    /// Starts the victim's traffic, and measures it alone.
    pub(crate) async fn begin(resource: &'static str, mut arena: Arena) -> Self {
        arena.victim.begin(&arena.platform);
        tokio::time::sleep(WARM_UP).await;
        let (before, processor_before) = measure(size::window()).await;
        let mut contest = Self {
            arena,
            resource,
            before,
            beside: before,
            memory: [MemoryUse::default(); 3],
            recoveries: Vec::new(),
            change: Err("no webhook was created".to_owned()),
            processor_before,
            processor_beside: Share::default(),
            logged_before: 0,
            failures: Vec::new(),
        };
        contest.logged_before = contest.count_log_lines();
        for (place, service) in SERVICES.into_iter().enumerate() {
            for process in contest.arena.replicas(service) {
                process.reset_peak();
                let idle = process.read_memory().now;
                contest.memory[place].idle = contest.memory[place].idle.max(idle);
            }
        }
        contest
    }

    /// Measures the victim beside a running attack, at whose beginning it creates another webhook.
    pub(crate) async fn measure_beside(&mut self) {
        let measured;
        (measured, self.change) = tokio::join!(measure(size::window()), self.arena.victim.add_webhook());
        (self.beside, self.processor_beside) = measured;
        // A restart must not cut off a measured delivery or call. The verdict sees the ones that take longer.
        let settled = async {
            while !self.arena.victim.record.is_settled(self.beside) {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        };
        let _ = tokio::time::timeout(SETTLE_TIMEOUT, settled).await;
    }

    /// Kills all replicas of each service in turn, and restarts them while the attack goes on.
    pub(crate) async fn restart_each(&mut self) {
        for service in SERVICES {
            self.read_peaks();
            let killed = Instant::now();
            self.arena.replicas(service).iter_mut().for_each(e2e::process::Process::kill);
            let started = Instant::now();
            for process in self.arena.replicas(service) {
                process.start();
            }
            for process in self.arena.replicas(service) {
                process.wait_ready().await;
            }
            self.wait_flowing(service, killed).await;
            self.recoveries.push(started.elapsed());
        }
    }

    async fn wait_flowing(&self, service: Service, since: Instant) {
        let record = &self.arena.victim.record;
        let what = format!("the victim flows again after the restart of {service:?}");
        eventually(&what, FLOW_TIMEOUT, async || {
            let flows = match service {
                Service::Api => record.is_answered_since(since),
                Service::Router | Service::Deliverer => record.is_flowing_since(since),
            };
            if flows { Ok(()) } else { Err(format!("{} events are on the way", record.missing().len())) }
        })
        .await;
    }

    /// Adds the peaks of the running processes.
    fn read_peaks(&mut self) {
        for (place, service) in SERVICES.into_iter().enumerate() {
            for process in self.arena.replicas(service) {
                if process.is_running() {
                    let peak = process.read_memory().peak;
                    self.memory[place].peak = self.memory[place].peak.max(peak);
                } else {
                    self.failures.push(format!("{} ended by itself", process.name()));
                }
            }
        }
    }

    /// Returns the number of lines that the services have logged.
    pub(crate) fn count_log_lines(&mut self) -> usize {
        self.arena.platform.processes_mut().map(|process| process.read_log().lines().count()).sum()
    }

    /// Measures beside the attack, restarts each service in the middle of it, stops it, prints the row and
    /// checks everything.
    pub(crate) async fn finish(mut self, attack: Attack) {
        // Boxed, because together they are too large for a stack.
        Box::pin(self.measure_beside()).await;
        Box::pin(self.restart_each()).await;
        Box::pin(self.settle(attack)).await;
    }

    /// Stops the attack and the victim's traffic, prints the row and checks everything.
    pub(crate) async fn settle(mut self, attack: Attack) {
        self.read_peaks();
        let attack = attack.stop().await;
        self.arena.victim.end().await;
        Verdict::reach(self, attack).await.assert_goals();
    }
}

/// Lets a window pass, and returns it with the processor's share in it.
async fn measure(length: Duration) -> (Window, Share) {
    let from = Instant::now();
    let ticks = Ticks::read();
    tokio::time::sleep(length).await;
    (Window { from, to: Instant::now() }, Ticks::read().since(&ticks))
}
