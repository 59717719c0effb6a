//! The report, as JSON with everything and as a short table.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::args::Args;
use crate::cpu::{RECEIVER, Seconds};
use crate::limits::{Limit, Limits};
use crate::window::{Account, Latency, Window};

/// The columns of processor time.
const PARTS: [&str; 7] = ["api", "router", "deliverer", "broker", "postgres", "load", RECEIVER];
/// The parts that a delivery needs, including the producer, because the limits include it, too.
const NEEDED: [&str; 6] = ["api", "router", "deliverer", "broker", "postgres", "load"];

/// One measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) window: Window,
    /// Seconds of processor for 1,000 deliveries, of all but the receiver.
    pub(crate) needed_cpu_s_per_1000: f64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) more: BTreeMap<String, f64>,
}

/// A run.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) settings: Value,
    pub(crate) account: Account,
    /// Webhooks that each deliverer owns.
    pub(crate) shares: Vec<f64>,
    /// The memory at the end, by service.
    pub(crate) memory_mib: BTreeMap<String, f64>,
    pub(crate) limits: Option<Limits>,
    pub(crate) measured: Vec<Measured>,
}

impl Measured {
    pub(crate) fn new(name: &str, window: Window) -> Self {
        let needed = NEEDED.iter().filter_map(|part| window.cpu_s_per_1000.get(*part)).sum();
        Self { name: name.to_owned(), window, needed_cpu_s_per_1000: needed, more: BTreeMap::new() }
    }

    /// Adds a further number.
    pub(crate) fn with(mut self, name: &str, value: f64) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }
}

impl Args {
    pub(crate) fn settings(&self) -> Value {
        serde_json::json!({
            "webhooks": self.webhooks, "fanOut": self.fan_out, "bytes": self.bytes,
            "seconds": self.span().as_secs(), "onTheWay": self.on_the_way, "rate": self.rate,
            "backlog": self.backlog, "maxConcurrency": self.max_concurrency, "routers": self.routers,
            "deliverers": self.deliverers, "http2": self.http2, "ownBroker": self.own_broker,
        })
    }
}

impl Report {
    /// Whether everything that was confirmed arrived, and nothing else did.
    pub(crate) fn is_whole(&self) -> bool {
        self.account.is_whole()
    }

    /// Prints the table, and writes the JSON to a file if requested.
    pub(crate) fn write_report(&self, json: Option<&Path>) {
        if let Some(path) = json {
            let text = serde_json::to_string_pretty(self).expect("a report is JSON");
            std::fs::write(path, text + "\n").expect("the report's file");
        }
        std::io::stdout().write_all(self.format_table().as_bytes()).expect("somewhere to print to");
    }

    fn format_table(&self) -> String {
        let mut table = format!("settings {}\n\n", self.settings);
        table += "| | per second | p50 / p99 ms | CPU-s per 1,000: needed | ratio |";
        table += &PARTS.map(|part| format!(" {part} |")).concat();
        table += &format!("\n|{}\n", " --- |".repeat(5 + PARTS.len()));
        if let Some(limits) = &self.limits {
            table += &limits.format_lines();
        }
        for measured in &self.measured {
            table += &self.format_line(measured);
        }
        let account = &self.account;
        let memory = &self.memory_mib;
        table += &format!("\n{account:?}\nmemory in MiB {memory:?}\nwebhooks owned {:?}\n", self.shares);
        table
    }

    fn format_line(&self, measured: &Measured) -> String {
        let Measured { name, window, needed_cpu_s_per_1000: needed, .. } = measured;
        let ratio = self.limits.as_ref().map_or(0.0, |limits| needed / limits.cpu_s_per_1000);
        let latency = format_latency(&window.latency);
        let more: String = measured.more.iter().map(|(name, value)| format!(" {name} {value:.2}")).collect();
        // A part of a window has no processor time of its own.
        let cost = match window.cpu_s_per_1000.is_empty() {
            true => String::new(),
            false => format!(" {needed:.3} | {ratio:.2} |{}", format_cells(&window.cpu_s_per_1000)),
        };
        format!("| {name}{more} | {:.0} | {latency} |{cost}\n", window.per_second)
    }
}

impl Limits {
    fn format_lines(&self) -> String {
        let line = |name: &str, limit: &Limit, latency: &Latency| {
            let cells = format_cells(&limit.cpu_s_per_1000);
            let latency = format_latency(latency);
            format!("| limit: {name} | {:.0} | {latency} | | |{cells}\n", limit.per_second)
        };
        line("post", &self.post, &self.post_latency)
            + &line("ingest hop", &self.ingest_hop, &self.hop_latency)
            + &line("delivery hop", &self.delivery_hop, &self.hop_latency)
            + &line("rows", &self.rows, &self.rows_latency)
            + &format!("| limit: all of these in turn | | {} | | |\n", format_latency(&self.chain_latency))
            + &format!("| limit: sum for a delivery | | | {:.3} | 1 |\n", self.cpu_s_per_1000)
    }
}

/// Formats the median and the 99th percentile.
fn format_latency(Latency { p50_ms, p99_ms, .. }: &Latency) -> String {
    format!("{p50_ms:.1} / {p99_ms:.1}")
}

fn format_cells(seconds: &Seconds) -> String {
    PARTS.iter().map(|part| format!(" {:.3} |", seconds.get(*part).copied().unwrap_or(0.0))).collect()
}
