//! Prints responses: aligned columns for people, the API's own JSON for programs.

use std::io::{Write, stdout};

use clap::ValueEnum;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::parse_json;
use crate::error::Error;

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
            return print_line(&format!("[{}]", items.join(",")));
        }
        let items: Vec<Value> = items.iter().map(|item| parse_json(item.get())).collect::<Result<_, _>>()?;
        print_columns(&items, columns)
    }

    /// Prints one resource, one line per field.
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

    /// Prints a confirmation for people, because the API responds without a body.
    pub(crate) fn print_confirmation(self, words: &str) -> Result<(), Error> {
        if self == Self::Json { Ok(()) } else { print_line(words) }
    }

    /// Prints one item of a stream.
    pub(crate) fn print_item(self, json: &Value, words: &str) -> Result<(), Error> {
        if self == Self::Json { print_line(&json.to_string()) } else { print_line(words) }
    }
}

/// Prints a list as aligned columns.
pub(crate) fn print_columns(items: &[Value], columns: &[Column]) -> Result<(), Error> {
    let cells =
        items.iter().map(|item| columns.iter().map(|(_, at)| format_cell(item.pointer(at))).collect());
    let head = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    print_table(&std::iter::once(head).chain(cells).collect::<Vec<_>>())
}

/// Formats a value on one line.
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
    format_table(rows).iter().try_for_each(|row| print_line(row))
}

/// Pads the cells of each column to the same width and returns one line per row.
fn format_table(rows: &[Vec<String>]) -> Vec<String> {
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

/// Prints a line and flushes it, so that a reader of the pipe sees it at once.
pub(crate) fn print_line(text: &str) -> Result<(), Error> {
    let mut out = stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cell_fits_on_one_line() {
        assert_eq!(format_cell(None), "-");
        for (value, wanted) in [
            (json!(null), "-"),
            (json!([]), "-"),
            (json!("a\nb\tc"), "a b c"),
            (json!(["A", "B.C"]), "A B.C"),
            (json!([1, "A"]), r#"[1,"A"]"#),
            (json!({"a": 1}), r#"{"a":1}"#),
            (json!(true), "true"),
        ] {
            assert_eq!(format_cell(Some(&value)), wanted, "{value}");
        }
    }

    #[test]
    fn table_aligns_columns_by_characters_and_trims_the_end() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let lines = format_table(&[row(["NAME", "ID"]), row(["é", "12345"]), row(["Nova 1", ""])]);
        assert_eq!(lines, ["NAME    ID", "é       12345", "Nova 1"]);
        assert!(format_table(&[]).is_empty());
    }
}
