// The audit log: who did what when, of the platform for support, or of one brand.

import { useRef, useState } from 'preact/hooks';
import { listAudit } from '../api/audit';
import { listSupportTokens, listTokens } from '../api/tokens';
import type { AuditEntry } from '../api/types';
import { ACTION_CHOICES, actionText, changesOf, entryNote, parseActor, subjectName, switchedPatterns } from '../lib/audit';
import { AUDIT_CSV } from '../lib/csv-columns';
import { pluralize } from '../lib/format';
import { useNames, type Named } from '../lib/use-names';
import { usePages } from '../lib/use-pages';
import { useResource } from '../lib/use-resource';
import { zoneName } from '../lib/zone';
import { Link, setQuery, to, where, type PageProps } from '../router';
import { isSupport } from '../session';
import { Badge, Button, Copy, Empty, Time } from '../ui/basics';
import { BrandField } from '../ui/brand-field';
import { ExportCsv } from '../ui/export-csv';
import { SelectField } from '../ui/fields';
import { PagedList } from '../ui/pages';
import { BrandTabs, Heading } from '../ui/shell';
import { TimeField } from '../ui/time-field';
import { TypedField } from './webhook-filters';

const PAGE = 100;

export function Audit({ params: { brand } }: PageProps) {
  const scope = brand ?? null;
  const title = scope !== null && isSupport() ? `Audit of ${scope}` : 'Audit';
  return (
    <>
      <Heading title={title} up={scope !== null && isSupport() ? [['/brands', 'Brands']] : []}>
        {scope !== null && <BrandTabs brand={scope} />}
        <p class="muted">
          {scope === null ? 'All changes, newest first.' : 'All changes in this brand, newest first; those of support and of Postrider itself included.'} The audit log never contains secrets.
        </p>
      </Heading>
      <AuditList brand={scope} />
    </>
  );
}

const NAMES = ['actor', 'action', 'subject', 'from', 'to'] as const;

function AuditList({ brand }: { brand: string | null }) {
  const query = where.value.query;
  const filter = Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ''])) as Record<(typeof NAMES)[number], string>;
  // Support reads the log of a brand from the log of the platform, which knows its own acts on the brand, too.
  const scope = isSupport() ? null : brand;
  const brandId = brand ?? query.get('brandId') ?? '';
  const inverted = Boolean(filter.from && filter.to && filter.from >= filter.to);
  const asked = { ...filter, ...(inverted ? { to: '' } : {}), ...(scope === null ? { brandId } : {}) };
  const read = (cursor: string | null, limit: number, signal?: AbortSignal) => listAudit(scope, { ...asked, limit, cursor }, signal);
  const pages = usePages((cursor, signal) => read(cursor, PAGE, signal), [scope, ...Object.values(asked)]);
  const names = useNames(pages.items.filter(({ action }) => action.startsWith('webhook.')).map((entry) => entry.brandId));
  const narrowed = Object.values(filter).some(Boolean) || (brand === null && brandId !== '');
  return (
    <>
      <div class="toolbar" role="search" aria-label="Audit">
        {isSupport() && brand === null && <BrandField value={brandId} onChange={(brandId) => setQuery({ brandId })} />}
        <SelectField label="Who" compact value={filter.actor} options={useActors(pages.items, brandId, filter.actor)} onChange={(actor) => setQuery({ actor })} />
        <SelectField label="Action" compact value={filter.action} options={ACTION_CHOICES} onChange={(action) => setQuery({ action })} />
        <TypedField label="Subject" placeholder="Id or event type" value={filter.subject} name="subject" />
        <TimeField label="From" value={filter.from} onChange={(from) => setQuery({ from })} />
        <TimeField label="Until" value={filter.to} onChange={(to) => setQuery({ to })} errors={inverted ? ['It must be after "From".'] : []} />
        {narrowed && (
          <Button kind="quiet" onClick={() => setQuery({ brandId: '', actor: '', action: '', subject: '', from: '', to: '' })}>
            Clear filters
          </Button>
        )}
        <ExportCsv file={brandId ? `audit-${brandId}` : 'audit'} columns={AUDIT_CSV} read={read} />
      </div>
      <PagedList pages={pages} empty={<Empty title={narrowed ? 'No entries match these filters.' : 'There are no changes yet.'} />}>
        {(entries) => <AuditEntries entries={entries} brand={brand} names={names} more={pages.more} />}
      </PagedList>
    </>
  );
}

/**
 * The choices of the filter: everyone of support, Postrider itself, each of support for support, the tokens of the brand, and the
 * actors of the entries so far.
 * The API filters by ids, so that a name alone is no filter.
 */
function useActors(entries: readonly AuditEntry[], brand: string, chosen: string): [string, string][] {
  const { data } = useResource(async (signal) => (brand ? (await listTokens(brand, { limit: 1000 }, signal)).items : []), [brand]);
  const { data: people } = useResource(async (signal) => (isSupport() ? (await listSupportTokens({ limit: 1000 }, signal)).items : []), []);
  const seen = useRef(new Map<string, string>());
  for (const { actor } of entries) {
    const { kind, id, name } = parseActor(actor);
    if (id) seen.current.set(`${kind}:${id}`, name);
  }
  for (const { id, name } of people ?? []) seen.current.set(`support:${id}`, name);
  for (const { id, name } of data ?? []) seen.current.set(`token:${id}`, name);
  const others = [...seen.current].filter(([actor]) => isSupport() || actor.startsWith('token:'));
  if (chosen.includes(':') && !seen.current.has(chosen)) others.push([chosen, parseActor(chosen).name]);
  return [['', 'Anyone'], ['support', 'Support'], ['platform', 'Postrider'], ...others.map(([actor, name]): [string, string] => [actor, `${name} (${actor.split(':')[0]})`])];
}

export function AuditEntries({ entries, brand, names, more = false, short = false }: {
  entries: readonly AuditEntry[];
  brand: string | null;
  names: ReadonlyMap<string, Named>;
  more?: boolean;
  /** For a card on another page: without counts. */
  short?: boolean;
}) {
  return (
    <>
      {!short && (
        <p class="muted">
          {pluralize(entries.length, 'entry', 'entries')}
          {more ? ' loaded; there are more.' : '.'} Times are in {zoneName()}.
        </p>
      )}
      <ul class="audit">
        {entries.map((entry) => (
          <Entry key={entry.id} entry={entry} brand={brand} names={names} />
        ))}
      </ul>
    </>
  );
}

function Entry({ entry, brand, names }: { entry: AuditEntry; brand: string | null; names: ReadonlyMap<string, Named> }) {
  const [open, setOpen] = useState(false);
  const changes = changesOf(entry);
  const note = entryNote(entry);
  return (
    <li>
      <div class="audit-line">
        <span class="audit-when">
          <Time at={entry.at} bare />
        </span>
        <span class="audit-what">
          <span>
            <Actor actor={entry.actor} /> <span class="audit-action">{actionText(entry.action).replace(/^./, (c) => c.toLowerCase())}</span> <Subject entry={entry} names={names} />
            {brand === null && entry.brandId && !entry.action.startsWith('brand.') && (
              <>
                {' '}
                <span class="muted">
                  in <Link to={to.brand(entry.brandId)}>{entry.brandId}</Link>
                </span>
              </>
            )}
            {entry.outcome && entry.outcome !== 'done' && (
              <>
                {' '}
                <Badge tone={entry.outcome === 'failed' ? 'bad' : 'warn'}>{entry.outcome === 'failed' ? 'Failed' : 'Outcome unknown'}</Badge>
              </>
            )}
          </span>
          {note && (
            <span class="audit-note">
              <bdi>{note}</bdi>
            </span>
          )}
        </span>
        {changes.length > 0 && (
          <button type="button" class="button quiet" aria-expanded={open} aria-label={`${open ? 'Hide' : 'Show'} ${pluralize(changes.length, 'field')} of ${entry.action}`} onClick={() => setOpen(!open)}>
            {open ? 'Hide' : pluralize(changes.length, 'field')}
          </button>
        )}
      </div>
      {open && <Changes entry={entry} />}
    </li>
  );
}

function Actor({ actor }: { actor: string }) {
  const { kind, name, id } = parseActor(actor);
  const word = { support: id ? 'support' : '', token: 'token', platform: 'automatically', other: '' }[kind];
  return (
    <span class={`actor ${kind}`} title={id ? `${kind} ${id}` : undefined}>
      <strong>{name}</strong>
      {word && <span class="muted"> ({word})</span>}
    </span>
  );
}

/** Names the subject. A webhook that exists is a link with its name; a deleted one has the name that the entry holds. */
function Subject({ entry, names }: { entry: AuditEntry; names: ReadonlyMap<string, Named> }) {
  const { action, brandId, subject } = entry;
  const own = subjectName(entry);
  if (brandId && action.startsWith('webhook.')) {
    const named = names.get(subject);
    return (
      <>
        <Link to={to.webhook(brandId, subject)} class="strong" title={subject}>
          {named?.name ?? (own || subject)}
        </Link>
        <Copy text={subject} what="webhook id" small />
      </>
    );
  }
  if (action === 'event_type.enable' || action === 'event_type.disable') return <code>{switchedPatterns(entry).join(', ')}</code>;
  if (action.startsWith('event_type.')) return <code>{subject}</code>;
  if (own && /^(support_)?token\./.test(action)) return <strong title={subject}>{own}</strong>;
  if (action.startsWith('brand.')) return <Link to={to.brand(subject)}>{subject}</Link>;
  return subject === 'rejected' ? null : <code>{subject}</code>;
}

/** The changed fields, before and after, side by side. */
function Changes({ entry }: { entry: AuditEntry }) {
  const changes = changesOf(entry);
  const both = changes.some(({ before }) => before !== null) && changes.some(({ after }) => after !== null);
  return (
    <table class="changes" aria-label={`Changed fields of ${entry.action}`}>
      <thead>
        <tr>
          <th scope="col">Field</th>
          {both ? (
            <>
              <th scope="col">Before</th>
              <th scope="col">After</th>
            </>
          ) : (
            <th scope="col">Value</th>
          )}
        </tr>
      </thead>
      <tbody>
        {changes.map(({ name, before, after }) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            {both ? (
              <>
                <td class="was">{before ?? <span class="muted">none</span>}</td>
                <td class="is">{after ?? <span class="muted">none</span>}</td>
              </>
            ) : (
              <td>{after ?? before}</td>
            )}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
