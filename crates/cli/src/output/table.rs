//! Tables: aligned columns that fit the terminal.

use serde_json::value::RawValue;

use super::screen::{Color, Screen, cut, display_width};
use crate::raw_json::{find_value, format_value};
use crate::terminal::escape_text;

/// Spaces between two columns.
const GAP: usize = 2;
/// Minimum width of a column that is cut, so that its beginning stays readable.
const MIN_CUT_WIDTH: usize = 8;
/// Shown in place of a missing value.
const NOTHING: &str = "-";

/// A column: its heading, and the JSON pointer of its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    heading: &'static str,
    pointer: &'static str,
    kind: Kind,
    /// Whether the column is left out if it is empty.
    optional: bool,
}

/// How a column behaves on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An id, a time or a number, which is never cut, because people copy it.
    Exact,
    /// A word such as a status, which is coloured.
    Word,
    /// A text, which is cut.
    Text,
}

impl Column {
    /// Creates a column of ids, times or numbers.
    pub(crate) const fn exact(heading: &'static str, pointer: &'static str) -> Self {
        Self { heading, pointer, kind: Kind::Exact, optional: false }
    }

    /// Creates a column of statuses.
    pub(crate) const fn word(heading: &'static str, pointer: &'static str) -> Self {
        Self { heading, pointer, kind: Kind::Word, optional: false }
    }

    /// Creates a column of texts.
    pub(crate) const fn text(heading: &'static str, pointer: &'static str) -> Self {
        Self { heading, pointer, kind: Kind::Text, optional: false }
    }

    /// Leaves the column out of tables in which it is empty.
    pub(crate) const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }
}

/// Columns with their cells.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    /// The escaped cells, row by row.
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Creates a table without rows.
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Creates the table of a list.
    pub(crate) fn from_items(items: &[Box<RawValue>], columns: &[Column]) -> Self {
        let mut table = Self::new(columns);
        for item in items {
            table.push(columns.iter().map(|column| format_cell(item, column.pointer)).collect());
        }
        table
    }

    /// Adds a row, one cell for each column.
    pub(crate) fn push(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| escape_text(cell)).collect());
    }

    /// Removes the optional columns that are empty.
    pub(crate) fn drop_empty_columns(mut self) -> Self {
        let is_shown = |index: usize, column: &Column| {
            !column.optional || self.rows.iter().any(|row| row[index] != NOTHING)
        };
        let shown: Vec<bool> =
            self.columns.iter().enumerate().map(|(index, column)| is_shown(index, column)).collect();
        keep_marked(&mut self.columns, &shown);
        self.rows.iter_mut().for_each(|row| keep_marked(row, &shown));
        self
    }

    /// Returns the columns that are shown.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Formats the headings and the rows, one line each.
    pub(crate) fn format_lines(&self, screen: Screen) -> Vec<String> {
        let widths = self.fit_widths(screen);
        let headings: Vec<String> = self.columns.iter().map(|column| column.heading.to_owned()).collect();
        let head = format_row(&headings, &widths, screen, |_, _| Color::Heading);
        let color = |index: usize, cell: &str| match self.columns[index].kind {
            Kind::Word => Color::of_word(cell),
            Kind::Exact | Kind::Text => Color::Plain,
        };
        let rows = self.rows.iter().map(|row| format_row(row, &widths, screen, color));
        std::iter::once(head).chain(rows).collect()
    }

    /// Returns the widths of the columns. The widest texts are cut until the row fits the terminal.
    fn fit_widths(&self, screen: Screen) -> Vec<usize> {
        let width = |(index, column): (usize, &Column)| {
            let cells = self.rows.iter().map(|row| display_width(&row[index]));
            cells.max().unwrap_or(0).max(display_width(column.heading))
        };
        let mut widths: Vec<usize> = self.columns.iter().enumerate().map(width).collect();
        let Some(limit) = screen.width else { return widths };
        let gaps = GAP * widths.len().saturating_sub(1);
        // A text as wide as the terminal is cut in every case.
        for (width, column) in widths.iter_mut().zip(&self.columns) {
            if column.kind == Kind::Text {
                *width = (*width).min(limit.max(MIN_CUT_WIDTH));
            }
        }
        while widths.iter().sum::<usize>() + gaps > limit {
            let cuttable = widths.iter_mut().zip(&self.columns);
            let cuttable =
                cuttable.filter(|(width, column)| column.kind == Kind::Text && **width > MIN_CUT_WIDTH);
            let Some((widest, _)) = cuttable.max_by_key(|(width, _)| **width) else { break };
            *widest -= 1;
        }
        widths
    }
}

/// Formats the value of a column, or a dash if there is none.
fn format_cell(item: &RawValue, pointer: &str) -> String {
    find_value(item, pointer).map_or_else(|| NOTHING.to_owned(), format_value)
}

/// Pads and cuts the cells of a row. A row that is still too wide loses its end.
fn format_row(
    cells: &[String],
    widths: &[usize],
    screen: Screen,
    color: impl Fn(usize, &str) -> Color,
) -> String {
    let mut line = String::new();
    let mut left = screen.width.unwrap_or(usize::MAX);
    let last = cells.iter().rposition(|cell| !cell.is_empty()).unwrap_or(0);
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate().take(last + 1) {
        let text = cut(cell, (*width).min(left));
        let used = display_width(&text);
        line.push_str(&screen.paint(&text, color(index, cell)));
        left = left.saturating_sub(width + GAP);
        if left == 0 || index == last {
            break;
        }
        line.push_str(&" ".repeat(width - used + GAP));
    }
    line
}

fn keep_marked<T>(items: &mut Vec<T>, marks: &[bool]) {
    let mut marks = marks.iter();
    items.retain(|_| marks.next().copied().unwrap_or(true));
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] =
        [Column::exact("ID", "/id"), Column::word("STATUS", "/status"), Column::text("ENDPOINT", "/url")];

    fn table(rows: &[[&str; 3]]) -> Table {
        let mut table = Table::new(&COLUMNS);
        rows.iter().for_each(|row| table.push(row.map(str::to_owned).to_vec()));
        table
    }

    fn screen(width: usize) -> Screen {
        Screen { width: Some(width), color: false }
    }

    #[test]
    fn columns_are_aligned_by_display_width_and_lines_end_without_spaces() {
        let lines = table(&[["é", "active", ""], ["日本", "x", "u"]]).format_lines(Screen::PIPE);
        assert_eq!(lines, ["ID    STATUS  ENDPOINT", "é     active", "日本  x       u"]);
    }

    #[test]
    fn controls_are_escaped_before_columns_are_aligned() {
        let lines = table(&[["\u{1b}[31m", "1", "a"]]).format_lines(Screen::PIPE);
        assert_eq!(lines[1], r"\u001b[31m  1       a");
    }

    #[test]
    fn texts_are_cut_to_the_terminal_and_ids_are_not() {
        let id = "0123456789";
        let table = table(&[[id, "active", "https://example.com/a/long/path"]]);
        let lines = table.format_lines(screen(40));
        assert_eq!(lines[1], format!("{id}  active  https://example.com…"));
        assert!(lines.iter().all(|line| display_width(line) <= 40), "{lines:?}");
        // Without room even for the shortest text, the row loses its end.
        for width in 1..40 {
            let lines = table.format_lines(screen(width));
            assert!(lines.iter().all(|line| display_width(line) <= width), "{width}: {lines:?}");
        }
        assert_eq!(table.format_lines(Screen::PIPE)[1].len(), 10 + 2 + 6 + 2 + 31);
    }

    #[test]
    fn a_statement_of_status_is_coloured_after_it_is_padded() {
        let lines = table(&[["1", "failed", "u"]]).format_lines(Screen { width: Some(80), color: true });
        assert_eq!(lines[1], "1   \u{1b}[31mfailed\u{1b}[0m  u");
    }

    #[test]
    fn missing_values_are_a_dash_and_empty_optional_columns_are_left_out() {
        let items: Vec<Box<RawValue>> = vec![serde_json::from_str(r#"{"id":"a","url":null}"#).expect("JSON")];
        let table = Table::from_items(&items, &COLUMNS);
        assert_eq!(table.rows, [["a", "-", "-"]]);
        let columns = [COLUMNS[0], COLUMNS[1].optional(), COLUMNS[2]];
        let lines = Table::from_items(&items, &columns).drop_empty_columns().format_lines(Screen::PIPE);
        assert_eq!(lines, ["ID  ENDPOINT", "a   -"]);
    }
}
