// The audit log: changes, and who made them when.

import { listAudit } from '../api/support';
import type { AuditEntry } from '../api/types';
import { usePages } from '../lib/use-pages';
import { Link, to } from '../router';
import { Code, Empty, Time } from '../ui/basics';
import { PagedList } from '../ui/pages';
import { Heading } from '../ui/shell';
import { Table } from '../ui/table';

const PAGE = 100;

export function Audit() {
  const pages = usePages((cursor, signal) => listAudit({ limit: PAGE, cursor }, signal), []);
  return (
    <>
      <Heading title="Audit">
        <p class="muted">All changes, newest first. The audit log never contains secrets.</p>
      </Heading>
      <PagedList pages={pages} empty={<Empty title="There are no changes yet." />}>
        {(entries) => (
          <Table
            label="Audit"
            rows={entries}
            keyOf={(entry) => entry.id}
            columns={[
              { head: 'When', names: true, cell: (entry) => <Time at={entry.at} /> },
              { head: 'Who', cell: (entry) => <Actor actor={entry.actor} /> },
              { head: 'Action', cell: (entry) => <code>{entry.action}</code> },
              { head: 'Brand', cell: (entry) => entry.brandId && <Link to={to.brand(entry.brandId)}>{entry.brandId}</Link> },
              { head: 'Subject', cell: (entry) => <Subject entry={entry} /> },
              { head: 'Change', cell: (entry) => <Change entry={entry} /> },
            ]}
          />
        )}
      </PagedList>
    </>
  );
}

/** Shows `token:<id> <name>` as the name, with the id on hover. */
function Actor({ actor }: { actor: string }) {
  const [, id, name] = /^token:(\S+) (.*)$/.exec(actor) ?? [];
  return id ? <span title={`token ${id}`}>{name} (token)</span> : <>{actor}</>;
}

function Subject({ entry }: { entry: AuditEntry }) {
  if (entry.brandId && entry.action.startsWith('webhook.')) {
    return <Link to={to.webhook(entry.brandId, entry.subject)}>{entry.subject}</Link>;
  }
  return <code>{entry.subject}</code>;
}

type Fields = Record<string, unknown>;
const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Shows the changed fields only. */
function Change({ entry: { id, before, after } }: { entry: AuditEntry }) {
  const was = isFields(before) ? before : {};
  const is = isFields(after) ? after : {};
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])];
  const changed = names.filter((name) => name !== 'updated' && JSON.stringify(was[name]) !== JSON.stringify(is[name]));
  if (changed.length === 0) return <span class="muted">–</span>;
  const show = (value: unknown) => (value === undefined ? '–' : JSON.stringify(value));
  const lines = changed.map((name) => (before && after ? `${name}: ${show(was[name])} → ${show(is[name])}` : `${name}: ${show(before ? was[name] : is[name])}`));
  return (
    <details>
      <summary>{changed.length === 1 ? changed[0] : `${changed.length} fields`}</summary>
      <Code label={`Change ${id}`}>{lines.join('\n')}</Code>
    </details>
  );
}
