//! The row of a scenario in the table of `crates/docs/isolation.md`.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use crate::contest::{Contest, MemoryUse};
use crate::samples::Samples;

/// The head of the table.
const HEAD: &str = "\
| resource | deliveries before, p50 / p99 | beside | p99 ratio | API calls before, p50 / p99 | beside | p99 ratio \
| errors | latest | new webhook after | API, idle → peak | router | deliverer | flows after a restart of API, router, deliverer \
| processor before (test) | beside | log lines | attack |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |";
/// Names the file to which each scenario appends its row.
const TABLE_VARIABLE: &str = "E2E_ISOLATION_TABLE";

/// The figures of a scenario.
#[derive(Debug)]
pub(crate) struct Row {
    resource: &'static str,
    deliveries: [Samples; 2],
    calls: [Samples; 2],
    /// The victim's errors before and beside the attack.
    pub(crate) errors: Vec<String>,
    other_failures: usize,
    change: Option<Duration>,
    memory: [MemoryUse; 3],
    recoveries: Vec<Duration>,
    processor: [String; 2],
    logged: usize,
    attack: String,
}

impl Row {
    pub(crate) fn new(contest: &Contest, attack: String, logged: usize, other_failures: usize) -> Self {
        let record = &contest.arena.victim.record;
        let windows = [contest.before, contest.beside];
        Self {
            resource: contest.resource,
            deliveries: windows.map(|window| record.deliveries(window)),
            calls: windows.map(|window| record.calls(window)),
            errors: windows.into_iter().flat_map(|window| record.errors(window)).collect(),
            other_failures,
            change: contest.change.clone().ok(),
            memory: contest.memory,
            recoveries: contest.recoveries.clone(),
            processor: [contest.processor_before, contest.processor_beside].map(|share| share.to_string()),
            logged,
            attack,
        }
    }

    /// Returns the longest time of a delivery or a call beside the attack.
    pub(crate) fn latest(&self) -> Duration {
        self.deliveries[1].max().max(self.calls[1].max())
    }

    /// Returns the ratios of deliveries and of calls.
    pub(crate) fn ratios(&self) -> [f64; 2] {
        [&self.deliveries, &self.calls].map(|[before, beside]| beside.ratio(before))
    }

    /// Prints it, and appends it to the table if there is one.
    pub(crate) fn print(&self) {
        let line = self.format();
        eprintln!("{HEAD}\n{line}");
        eprintln!(
            "{} and {} deliveries, {} and {} calls; errors: {:#?}",
            self.deliveries[0].len(),
            self.deliveries[1].len(),
            self.calls[0].len(),
            self.calls[1].len(),
            self.errors.iter().take(3).collect::<Vec<_>>(),
        );
        if let Some(path) = std::env::var_os(TABLE_VARIABLE) {
            let mut table = File::options().create(true).append(true).open(path).expect("the table's file");
            writeln!(table, "{line}").expect("the table's file");
        }
    }

    fn format(&self) -> String {
        let [delivery_ratio, call_ratio] = self.ratios();
        let memory = self.memory.map(format_memory).join(" | ");
        let change = self.change.map_or("-".to_owned(), |took| format!("{:.1} s", took.as_secs_f64()));
        let recoveries: Vec<String> =
            self.recoveries.iter().map(|took| format!("{:.1}", took.as_secs_f64())).collect();
        format!(
            "| {} | {} | {} | {delivery_ratio:.2} | {} | {} | {call_ratio:.2} | {} | {} ms | {change} | {memory} | {} s | {} | {} | {} | {} |",
            self.resource,
            format_samples(&self.deliveries[0]),
            format_samples(&self.deliveries[1]),
            format_samples(&self.calls[0]),
            format_samples(&self.calls[1]),
            self.errors.len() + self.other_failures,
            self.latest().as_millis(),
            recoveries.join(", "),
            self.processor[0],
            self.processor[1],
            self.logged,
            self.attack,
        )
    }
}

fn format_samples(samples: &Samples) -> String {
    let millis = |hundredths| samples.percentile(hundredths).as_secs_f64() * 1000.0;
    format!("{:.1} / {:.1} ms", millis(50), millis(99))
}

fn format_memory(used: MemoryUse) -> String {
    let mib = |bytes: u64| bytes / (1024 * 1024);
    format!("{} → {} MiB", mib(used.idle), mib(used.peak))
}
