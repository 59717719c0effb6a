//! Prints responses: aligned columns for people, the API's own JSON for programs.
//!
//! JSON goes to a file or a pipe byte for byte. Everything that a terminal shows is escaped by `terminal`. A terminal
//! also gets colour and tables that fit its width; a file or a pipe gets the whole text.

pub(crate) mod pretty;
pub(crate) mod screen;
pub(crate) mod table;
pub(crate) mod words;

use std::io::{IsTerminal, Write, stdout};

use clap::ValueEnum;
use serde_json::Value;
use serde_json::value::RawValue;

use self::pretty::spread_json;
use self::screen::{Color, Screen, display_width};
use self::table::{Column, Table};
use crate::client::parse_json;
use crate::error::Error;
use crate::raw_json::{Fields, format_value, is_nested};
use crate::terminal::{escape_json, escape_lines, escape_text};

/// The output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns for people
    Table,
    /// The JSON of the API: a list as one array, a stream as one object per line
    Json,
}

/// Prints in one format to the standard output.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
    pub(crate) screen: Screen,
}

impl Output {
    /// Prints in this format to the standard output.
    pub(crate) fn new(format: Format) -> Self {
        Self { format, screen: Screen::detect() }
    }

    /// Whether programs read the output.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Prints a list.
    pub(crate) fn print_list(self, items: &[Box<RawValue>], columns: &[Column]) -> Result<(), Error> {
        if self.is_json() {
            return print_json(&format!("[{}]", join_items(items)));
        }
        self.print_table(Table::from_items(items, columns))
    }

    /// Prints a table without its empty optional columns.
    pub(crate) fn print_table(self, table: Table) -> Result<(), Error> {
        self.print_lines(&table.drop_empty_columns().format_lines(self.screen))
    }

    /// Prints lines that are escaped already.
    pub(crate) fn print_lines(self, lines: &[String]) -> Result<(), Error> {
        lines.iter().try_for_each(|line| print_line(line))
    }

    /// Prints one resource, one line per field. A terminal gets nested values spread over lines.
    pub(crate) fn print_resource(self, text: &str) -> Result<(), Error> {
        if self.is_json() {
            return print_json(text.trim_end());
        }
        self.print_lines(&format_resource(text, self.screen)?)
    }

    /// Prints words for people instead of the response.
    pub(crate) fn print_summary(self, text: &str, words: &str) -> Result<(), Error> {
        if self.is_json() { print_json(text.trim_end()) } else { print_line(&escape_text(words)) }
    }

    /// Prints a confirmation for people, because the API responds without a body.
    pub(crate) fn print_confirmation(self, words: &str) -> Result<(), Error> {
        if self.is_json() { Ok(()) } else { print_line(&escape_text(words)) }
    }

    /// Prints one item of a stream.
    pub(crate) fn print_item(self, json: &Value, words: &str) -> Result<(), Error> {
        self.print_summary(&json.to_string(), words)
    }
}

/// Prints a list page by page, so that a list of any length takes the memory of a page.
#[derive(Debug)]
pub(crate) struct ListPrinter {
    output: Output,
    columns: Vec<Column>,
    is_first: bool,
}

impl ListPrinter {
    pub(crate) fn new(output: Output, columns: &[Column]) -> Self {
        Self { output, columns: columns.to_vec(), is_first: true }
    }

    /// Prints a page. The first page decides which optional columns are shown, and has the headings.
    pub(crate) fn print_page(&mut self, items: &[Box<RawValue>]) -> Result<(), Error> {
        let is_first = std::mem::take(&mut self.is_first);
        if self.output.is_json() {
            let separator = match (is_first, items.is_empty()) {
                (true, _) => "[",
                (false, true) => return Ok(()),
                (false, false) => ",",
            };
            return print_text(&escape_on_terminal(&format!("{separator}{}", join_items(items))));
        }
        let table = Table::from_items(items, &self.columns);
        if !is_first {
            return self.output.print_lines(&table.format_lines(self.output.screen)[1..]);
        }
        let table = table.drop_empty_columns();
        table.columns().clone_into(&mut self.columns);
        self.output.print_lines(&table.format_lines(self.output.screen))
    }

    /// Ends the list.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match (self.output.is_json(), self.is_first) {
            (true, true) => print_line("[]"),
            (true, false) => print_line("]"),
            (false, _) => Ok(()),
        }
    }
}

/// Formats a resource: a line for each field, or the value itself if it is no object.
fn format_resource(text: &str, screen: Screen) -> Result<Vec<String>, Error> {
    let value: &RawValue = parse_json(text)?;
    let Some(Fields(fields)) = Fields::parse(value) else {
        return Ok(vec![escape_text(&format_value(value))]);
    };
    let names: Vec<String> = fields.iter().map(|(name, _)| escape_text(name)).collect();
    let width = names.iter().map(|name| display_width(name)).max().unwrap_or(0);
    let mut lines = Vec::new();
    for (name, (_, value)) in names.iter().zip(&fields) {
        let pad = " ".repeat(width - display_width(name));
        let name_shown = screen.paint(name, Color::Heading);
        if screen.width.is_some() && is_nested(value) {
            lines.push(name_shown);
            let spread = escape_lines(&spread_json(value.get()));
            lines.extend(spread.lines().map(|line| format!("  {line}")));
            continue;
        }
        let text = escape_text(&format_value(value));
        let text = if matches!(name.as_str(), "status" | "state") {
            screen.paint(&text, Color::of_word(&text))
        } else {
            text
        };
        lines.push(format!("{name_shown}{pad}  {text}").trim_end().to_owned());
    }
    Ok(lines)
}

/// Prints a message about the run to standard error.
pub(crate) fn print_notice(text: &str) {
    eprintln!("postrider: {}", escape_lines(text));
}

fn join_items(items: &[Box<RawValue>]) -> String {
    let items: Vec<&str> = items.iter().map(|item| item.get()).collect();
    items.join(",")
}

/// Escapes JSON for a terminal. A file or a pipe gets it byte for byte.
fn escape_on_terminal(text: &str) -> String {
    if stdout().is_terminal() { escape_json(text) } else { text.to_owned() }
}

fn print_json(text: &str) -> Result<(), Error> {
    print_line(&escape_on_terminal(text))
}

/// Prints a line and flushes it, so that a reader of the pipe sees it at once.
fn print_line(text: &str) -> Result<(), Error> {
    print_text(&format!("{text}\n"))
}

fn print_text(text: &str) -> Result<(), Error> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resource_has_a_line_for_each_field_and_a_terminal_gets_nested_values_spread() {
        let text = r#"{"id":"E","data":{"z":1.10,"a":[]},"status":"failed","events":["A","B"]}"#;
        let lines = format_resource(text, Screen::PIPE).expect("JSON");
        let wanted = ["id      E", r#"data    {"z":1.10,"a":[]}"#, "status  failed", "events  A B"];
        assert_eq!(lines, wanted);
        let lines = format_resource(text, Screen { width: Some(80), color: false }).expect("JSON");
        let wanted = ["id      E", "data", "  {", "    \"z\": 1.10,", "    \"a\": []", "  }"];
        assert_eq!(lines[..6], wanted);
    }

    #[test]
    fn resource_that_is_no_object_is_one_line() {
        assert_eq!(format_resource("[1, 2]", Screen::PIPE).expect("JSON"), ["[1, 2]"]);
    }
}
