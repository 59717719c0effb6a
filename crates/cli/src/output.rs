//! Answers for people as aligned columns, for programs as the API gave them.

use std::io::{Write, stdout};

use clap::ValueEnum;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::parse_json;
use crate::error::Error;

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Columns, for people
    Table,
    /// JSON as the API gives it: lists as one array, streams as an object a line
    Json,
}

/// A column: its head, and where its value is in an item.
pub(crate) type Column = (&'static str, &'static str);

impl Output {
    /// Shows a list.
    pub(crate) fn print_list(self, items: &[Box<RawValue>], columns: &[Column]) -> Result<(), Error> {
        if self == Self::Json {
            let items: Vec<&str> = items.iter().map(|item| item.get()).collect();
            return print_line(&format!("[{}]", items.join(",")));
        }
        let items: Vec<Value> = items.iter().map(|item| parse_json(item.get())).collect::<Result<_, _>>()?;
        let cells =
            items.iter().map(|item| columns.iter().map(|(_, at)| format_cell(item.pointer(at))).collect());
        let head = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        print_table(&std::iter::once(head).chain(cells).collect::<Vec<_>>())
    }

    /// Shows one resource: each of its fields.
    pub(crate) fn print_resource(self, text: &str) -> Result<(), Error> {
        if self == Self::Json {
            return print_line(text.trim_end());
        }
        match parse_json(text)? {
            Value::Object(fields) => print_table(
                &fields
                    .iter()
                    .map(|(name, value)| vec![name.clone(), format_cell(Some(value))])
                    .collect::<Vec<_>>(),
            ),
            other => print_line(&format_cell(Some(&other))),
        }
    }

    /// Says what was done, where the API says nothing.
    pub(crate) fn print_done(self, words: &str) -> Result<(), Error> {
        if self == Self::Json { Ok(()) } else { print_line(words) }
    }

    /// One item of a stream.
    pub(crate) fn print_item(self, json: &Value, words: &str) -> Result<(), Error> {
        if self == Self::Json { print_line(&json.to_string()) } else { print_line(words) }
    }
}

/// A value on one line.
fn format_cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => text.replace(['\n', '\r', '\t'], " "),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        Some(other) => other.to_string(),
    }
}

fn print_table(rows: &[Vec<String>]) -> Result<(), Error> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        print_line(cells.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// A line on standard output, at once: somebody may be reading along.
pub(crate) fn print_line(text: &str) -> Result<(), Error> {
    let mut out = stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}
