// The table of the tasks: what each takes now beside what it took before the console was rebuilt.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PICTURES } from '../settings.mjs';

const PAGE = new URL('../../../crates/docs/console-tasks.md', import.meta.url);
const HEAD = '| no. | who | task | clicks before | clicks now |\n| --- | --- | --- | --- | --- |';

export const rowOf = ({ number, who, title, before, now }) => `| ${number} | ${who} | ${title} | ${before} | ${now} |`;

/** Prints the table, which the test runner turns into comments of TAP, and writes it beside the pictures. */
export function writeTable(rows) {
  const table = [HEAD, ...rows].join('\n');
  console.log(table);
  mkdirSync(PICTURES, { recursive: true });
  writeFileSync(join(PICTURES, 'tasks.md'), `${table}\n`);
}

/** Returns the rows of the page in the documentation. */
export const documentedRows = () => readFileSync(PAGE, 'utf8').match(/^\| \d.*$/gm) ?? [];
