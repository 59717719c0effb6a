// The filters of the event list. They are part of the URL, so that people can share a view.

import { useEffect, useState } from 'preact/hooks';
import { DELIVERY_STATUSES } from '../api/types';
import { humanize } from '../lib/format';
import { fromInput, toInput } from '../lib/local-input';
import { setQuery, where } from '../router';
import { Button } from '../ui/basics';
import { SelectField, TextField } from '../ui/fields';

export interface EventFilter {
  from: string;
  to: string;
  type: string;
  status: string;
  [name: string]: string;
}

const TYPE = /^[A-Z0-9_]+(\.[A-Z0-9_]+){0,7}$/;

export function filterOf(query: URLSearchParams): EventFilter {
  const given = (name: string) => query.get(name) ?? '';
  return { from: given('from'), to: given('to'), type: given('type'), status: given('status') };
}

export const hasFilter = (filter: EventFilter): boolean => Object.values(filter).some(Boolean);

const STATUSES = [['', 'Any'], ...DELIVERY_STATUSES.map((status) => [status, humanize(status)] as const)] as const;

export function EventFilters({ events }: { events: readonly string[] }) {
  const filter = filterOf(where.value.query);
  const inverted = filter.from && filter.to && filter.from >= filter.to;
  return (
    <div class="filters" role="search" aria-label="Events">
      <TimeField label="From" value={filter.from} other={filter.to} before set={(from) => setQuery({ from })} />
      <TimeField label="Until" value={filter.to} other={filter.from} before={false} set={(to) => setQuery({ to })} />
      <TypeField value={filter.type} events={events} />
      <SelectField label="Status" value={filter.status} options={STATUSES} onChange={(status) => setQuery({ status })} />
      {hasFilter(filter) && (
        <Button kind="quiet" onClick={() => setQuery({ from: '', to: '', type: '', status: '' })}>
          Clear filters
        </Button>
      )}
      {inverted && <p class="error-text">"From" must be before "Until".</p>}
    </div>
  );
}

/** A time field. The time becomes part of the URL only if it fits the other time. */
function TimeField({ label, value, other, before, set }: {
  label: string;
  value: string;
  other: string;
  before: boolean;
  set: (iso: string) => void;
}) {
  const [text, setText] = useState(toInput(value));
  useEffect(() => setText(toInput(value)), [value]);
  const iso = fromInput(text);
  const inverted = Boolean(iso && other) && (before ? iso >= other : iso <= other);
  const change = (text: string) => {
    setText(text);
    const iso = fromInput(text);
    const inverted = Boolean(iso && other) && (before ? iso >= other : iso <= other);
    if (!inverted) set(iso);
  };
  const error = before ? 'It must be before "Until".' : 'It must be after "From".';
  return <TextField label={label} type="datetime-local" value={text} onChange={change} errors={inverted ? [error] : []} />;
}

/** A field for a type or group. It becomes part of the URL once it is valid and the reader stops typing. */
function TypeField({ value, events }: { value: string; events: readonly string[] }) {
  const [text, setText] = useState(value);
  useEffect(() => setText(value), [value]);
  const hint = events.filter((pattern) => pattern !== '*')[0] ?? 'NOTIFICATION.SMS';
  const typed = text.trim().toUpperCase();
  const valid = typed === '' || TYPE.test(typed);
  useEffect(() => {
    if (!valid || typed === value) return;
    const timer = setTimeout(() => setQuery({ type: typed }), 500);
    return () => clearTimeout(timer);
  }, [typed, valid, value]);
  return (
    <TextField
      label="Type or group"
      mono
      placeholder={hint}
      value={text}
      onChange={setText}
      errors={valid ? [] : ['Use segments of A-Z, 0-9 and _, separated by dots.']}
    />
  );
}
