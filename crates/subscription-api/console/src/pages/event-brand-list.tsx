// Every event of a brand, newest first, including those that no webhook received, with filters in the address.

import { useEffect } from 'preact/hooks';
import { listBrandEvents } from '../api/events';
import type { EventView } from '../api/types';
import { EVENT_CSV } from '../lib/csv-columns';
import { DISPOSITION_CHOICES, DISPOSITION_WORDS } from '../lib/lookup';
import { currentRange } from '../lib/time-range';
import { useEdited } from '../lib/use-edited';
import { usePages } from '../lib/use-pages';
import { zoneName } from '../lib/zone';
import { Link, setQuery, to, where, type PageProps } from '../router';
import { isSupport } from '../session';
import { Badge, Button, Empty, Note, Time } from '../ui/basics';
import { ExportCsv } from '../ui/export-csv';
import { SelectField, TextField } from '../ui/fields';
import { PagedList } from '../ui/pages';
import { RangePicker } from '../ui/range-picker';
import { BrandTabs, Heading } from '../ui/shell';
import { Table, type Column } from '../ui/table';

const PAGE = 100;
const FALLBACK_RANGE = '24h';
const TYPING_DELAY_MS = 400;

export function BrandEvents({ params: { brand = '' } }: PageProps) {
  const query = where.value.query;
  const range = currentRange(FALLBACK_RANGE);
  const filter = { key: query.get('key') ?? '', type: query.get('type') ?? '', disposition: query.get('disposition') ?? '' };
  const read = (cursor: string | null, limit: number, signal?: AbortSignal) => {
    const { from, to: until, preset } = currentRange(FALLBACK_RANGE);
    // A preset ends now, so it has no end: events that arrive meanwhile belong to it.
    return listBrandEvents(brand, cursor ? { cursor, limit } : { ...filter, from, to: preset ? '' : until, limit }, signal);
  };
  const pages = usePages((cursor, signal) => read(cursor, PAGE, signal), [brand, range.key, filter]);
  const isFiltered = Boolean(filter.key || filter.type || filter.disposition);
  const actions = (
    <>
      <RangePicker fallback={FALLBACK_RANGE} />
      <ExportCsv file={`events-${brand}`} columns={EVENT_CSV} read={read} />
      <Button onClick={pages.reload} busy={pages.busy}>
        Refresh
      </Button>
    </>
  );
  const missing = pages.problem?.status === 404;
  return (
    <>
      <Heading title={isSupport() ? `Events of ${brand}` : 'Events'} up={isSupport() ? [['/brands', 'Brands'], [to.brand(brand), brand]] : []} actions={actions}>
        <BrandTabs brand={brand} />
      </Heading>
      <div class="toolbar" role="search" aria-label="Events">
        <TypedField label="Key" name="key" value={filter.key} placeholder="Whole key, such as order-1002" />
        <TypedField label="Type or group" name="type" value={filter.type} placeholder="ORDER or ORDER.PAID" upper />
        <SelectField label="What happened" compact value={filter.disposition} options={DISPOSITION_CHOICES} onChange={(disposition) => setQuery({ disposition })} />
        {isFiltered && (
          <Button kind="quiet" onClick={() => setQuery({ key: '', type: '', disposition: '' })}>
            Clear filters
          </Button>
        )}
      </div>
      {missing ? (
        <Note tone="warn">
          <p>Either there is no such brand, or this API does not list the events of a brand yet. The events of each webhook are on its own page.</p>
        </Note>
      ) : (
        <PagedList pages={pages} empty={<Nothing filtered={isFiltered} />}>
          {(events) => <Table label="Events" rows={events} keyOf={({ id }) => id} columns={columnsOf(brand)} />}
        </PagedList>
      )}
    </>
  );
}

const Nothing = ({ filtered }: { filtered: boolean }) => (
  <Empty title={filtered ? 'No event matches these filters.' : 'No event arrived in this time.'}>
    <Button kind="quiet" onClick={() => setQuery({ range: '7d', from: '', to: '' })}>
      Look at the last 7 days
    </Button>
  </Empty>
);

const columnsOf = (brand: string): Column<EventView>[] => [
  { head: `Created (${zoneName()})`, class: 'nowrap', cell: ({ created }) => <Time at={created} bare /> },
  {
    head: 'Event',
    names: true,
    cell: ({ id, type, test }) => (
      <span class="named">
        <Link to={to.lookup(brand, id)} class="mono">
          {type ?? 'No type'}
        </Link>
        <span class="muted small">
          <code>{id}</code> {test && <Badge tone="idle">Test</Badge>}
        </span>
      </span>
    ),
  },
  { head: 'Key', cell: ({ key }) => (key ? <code>{key}</code> : <span class="muted">–</span>) },
  { head: 'What happened', cell: ({ disposition }) => <Badge tone={DISPOSITION_WORDS[disposition].tone}>{DISPOSITION_WORDS[disposition].label}</Badge> },
  { head: 'Detail', class: 'wide-cell', cell: ({ detail }) => (detail ? <bdi>{detail}</bdi> : '') },
];

/** A text filter that becomes part of the address once the reader stops typing. */
function TypedField({ label, name, value, placeholder, upper = false }: { label: string; name: string; value: string; placeholder: string; upper?: boolean }) {
  const [text, setText] = useEdited(value);
  const typed = upper ? text.trim().toUpperCase() : text.trim();
  useEffect(() => {
    if (typed === value) return;
    const timer = setTimeout(() => setQuery({ [name]: typed }), TYPING_DELAY_MS);
    return () => clearTimeout(timer);
  }, [typed, value]);
  return <TextField label={label} compact mono placeholder={placeholder} value={text} onChange={setText} />;
}
