//! Prints responses: aligned columns for people, the API's own JSON for programs.
//!
//! JSON goes to a file or a pipe byte for byte. Everything that a terminal shows is escaped by `terminal`.

use std::io::{IsTerminal, Write, stdout};

use clap::ValueEnum;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::parse_json;
use crate::error::Error;
use crate::raw_json::{Fields, find_value, format_value};
use crate::terminal::{escape_json, escape_lines, escape_text};

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Aligned columns for people
    Table,
    /// The JSON of the API: a list as one array, a stream as one object per line
    Json,
}

/// A column: its heading and the JSON pointer of its value.
pub(crate) type Column = (&'static str, &'static str);

impl Output {
    /// Prints a list.
    pub(crate) fn print_list(self, items: &[Box<RawValue>], columns: &[Column]) -> Result<(), Error> {
        if self == Self::Json {
            let items: Vec<&str> = items.iter().map(|item| item.get()).collect();
            return print_json(&format!("[{}]", items.join(",")));
        }
        print_columns(items, columns)
    }

    /// Prints one resource, one line per field.
    pub(crate) fn print_resource(self, text: &str) -> Result<(), Error> {
        if self == Self::Json {
            return print_json(text.trim_end());
        }
        let value: &RawValue = parse_json(text)?;
        match Fields::parse(value) {
            Some(Fields(fields)) => print_table(
                &fields.into_iter().map(|(name, value)| vec![name, format_value(value)]).collect::<Vec<_>>(),
            ),
            None => print_line(&escape_text(&format_value(value))),
        }
    }

    /// Prints words for people instead of the response.
    pub(crate) fn print_summary(self, text: &str, words: &str) -> Result<(), Error> {
        if self == Self::Json { print_json(text.trim_end()) } else { print_line(&escape_text(words)) }
    }

    /// Prints a confirmation for people, because the API responds without a body.
    pub(crate) fn print_confirmation(self, words: &str) -> Result<(), Error> {
        if self == Self::Json { Ok(()) } else { print_line(&escape_text(words)) }
    }

    /// Prints one item of a stream.
    pub(crate) fn print_item(self, json: &Value, words: &str) -> Result<(), Error> {
        self.print_summary(&json.to_string(), words)
    }
}

/// Prints a list as aligned columns.
pub(crate) fn print_columns(items: &[Box<RawValue>], columns: &[Column]) -> Result<(), Error> {
    let cells = items.iter().map(|item| format_row(item, columns));
    let head = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    print_table(&std::iter::once(head).chain(cells).collect::<Vec<_>>())
}

/// Prints a message about the run to standard error.
pub(crate) fn print_notice(text: &str) {
    eprintln!("postrider: {}", escape_lines(text));
}

fn format_row(item: &RawValue, columns: &[Column]) -> Vec<String> {
    let format_cell = |pointer| find_value(item, pointer).map_or_else(|| "-".to_owned(), format_value);
    columns.iter().map(|(_, pointer)| format_cell(pointer)).collect()
}

fn print_table(rows: &[Vec<String>]) -> Result<(), Error> {
    format_table(rows).iter().try_for_each(|row| print_line(row))
}

/// Escapes the cells, pads those of each column to the same width, and returns one line per row.
fn format_table(rows: &[Vec<String>]) -> Vec<String> {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| escape_text(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let format_row = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(format_row).collect()
}

/// Prints JSON. A terminal gets it escaped; a file or a pipe gets it byte for byte.
fn print_json(text: &str) -> Result<(), Error> {
    if stdout().is_terminal() { print_line(&escape_json(text)) } else { print_line(text) }
}

/// Prints a line and flushes it, so that a reader of the pipe sees it at once.
fn print_line(text: &str) -> Result<(), Error> {
    let mut out = stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: [&str; 2]) -> Vec<String> {
        cells.map(str::to_owned).to_vec()
    }

    #[test]
    fn table_aligns_columns_by_characters_and_trims_the_end() {
        let lines = format_table(&[row(["NAME", "ID"]), row(["é", "12345"]), row(["Nova 1", ""])]);
        assert_eq!(lines, ["NAME    ID", "é       12345", "Nova 1"]);
        assert!(format_table(&[]).is_empty());
    }

    #[test]
    fn table_escapes_controls_before_it_aligns() {
        let lines = format_table(&[row(["\u{1b}[31m", "1"]), row(["\u{202e}b", "2"])]);
        assert_eq!(lines, [r"\u001b[31m  1", r"\u202eb     2"]);
    }

    #[test]
    fn row_shows_missing_values_as_a_dash() {
        let item: Box<RawValue> = serde_json::from_str(r#"{"a":{"b":"c"},"d":null}"#).expect("JSON");
        assert_eq!(format_row(&item, &[("B", "/a/b"), ("D", "/d"), ("E", "/e")]), ["c", "-", "-"]);
    }
}
