//! The share of the processor that is busy, because an attacker that takes it delays everybody on a machine
//! that runs all parts.

use std::fmt;
use std::fs;

/// The ticks so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ticks {
    all: u64,
    busy: u64,
    own: u64,
}

/// Shares of the machine's processor in a window.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Share {
    /// Percentage that was busy.
    busy: u64,
    /// Percentage that this process took, which runs the attack, all endpoints and the victim.
    own: u64,
}

impl Ticks {
    /// Reads them (proc(5)).
    ///
    /// # Panics
    /// When this is not Linux.
    pub(crate) fn read() -> Self {
        let machine = fs::read_to_string("/proc/stat").expect("the machine's times");
        let times = numbers(machine.lines().next().unwrap_or_default(), 1);
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user.
        let all = times.iter().take(8).sum();
        let idle: u64 = times.iter().skip(3).take(2).sum();
        let process = fs::read_to_string("/proc/self/stat").expect("this process's times");
        let after_name = process.rsplit_once(')').map_or("", |(_, rest)| rest);
        // utime and stime are the fields 14 and 15; the third comes first here.
        let own = numbers(after_name, 12).iter().take(2).sum();
        Self { all, busy: all - idle, own }
    }

    /// Returns the shares since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Share {
        let all = (self.all - earlier.all).max(1);
        Share { busy: 100 * (self.busy - earlier.busy) / all, own: 100 * (self.own - earlier.own) / all }
    }
}

fn numbers(line: &str, skip: usize) -> Vec<u64> {
    line.split_ascii_whitespace().skip(skip).map_while(|field| field.parse().ok()).collect()
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % ({} %)", self.busy, self.own)
    }
}
