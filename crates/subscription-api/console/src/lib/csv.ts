// Lists as CSV (RFC 4180), for spreadsheets and scripts.

type Value = string | number | boolean | null | undefined;

/** A column of a file: its head, and the value of a row. */
export type CsvColumn<T> = readonly [head: string, value: (row: T) => Value];

/**
 * Spreadsheets run a cell that begins like this as a formula, and endpoints and brands choose many of these texts. A cell
 * also begins after a semicolon or a tab where that is the separator, as in the German Excel, and after a line break.
 */
const FORMULA = /(^|[;\t\r\n])(?=[=+\-@\uFF1D\uFF0B\uFF0D\uFF20])/g;
/** Spaces that some spreadsheets drop from the beginning of a cell. */
const LEADING_SPACE = /^(?=[\t\r\n])/;
/** Excel reads a file without this mark in the code page of the machine. */
const BYTE_ORDER_MARK = '\uFEFF';

/** Returns the file of some rows. A beginning of a formula gets an apostrophe in front, as spreadsheets show texts. */
export function toCsv<T>(columns: readonly CsvColumn<T>[], rows: readonly T[]): string {
  const lines = [columns.map(([head]) => head), ...rows.map((row) => columns.map(([, value]) => value(row)))];
  return BYTE_ORDER_MARK + lines.map((line) => `${line.map(cell).join(',')}\r\n`).join('');
}

function cell(value: Value): string {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' ? value.replace(FORMULA, "$1'").replace(LEADING_SPACE, "'") : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
