//! Prints the measurements as a table.

use std::io::Write;
use std::time::Duration;

use crate::measure::Measurement;

/// Prints the measurements of the small and the large database side by side.
pub(crate) fn print(few: &[Measurement], many: &[Measurement], few_events: i64, many_events: i64) {
    let mut lines = vec![
        format!(
            "| page of 100 | items | {few_events}: p50 / p99 ms | items | {many_events}: p50 / p99 ms | ratio p50 / p99 |"
        ),
        "| --- | --- | --- | --- | --- | --- |".to_owned(),
    ];
    lines.extend(few.iter().zip(many).map(|(few, many)| line(few, many)));
    writeln!(std::io::stdout(), "{}", lines.join("\n")).expect("somewhere to print to");
}

fn line(few: &Measurement, many: &Measurement) -> String {
    let ratio = |few: Duration, many: Duration| many.as_secs_f64() / few.as_secs_f64();
    format!(
        "| {} | {} | {:.1} / {:.1} | {} | {:.1} / {:.1} | {:.1} / {:.1} |",
        many.name,
        few.items,
        millis(few.p50),
        millis(few.p99),
        many.items,
        millis(many.p50),
        millis(many.p99),
        ratio(few.p50, many.p50),
        ratio(few.p99, many.p99),
    )
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
