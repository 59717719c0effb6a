// The filters of the list of deliveries. They are part of the URL, so that people can share a view.

import { useEffect } from 'preact/hooks';
import { DELIVERY_STATUSES, OUTCOMES } from '../api/types';
import { humanize } from '../lib/format';
import { currentRange, type TimeRange } from '../lib/time-range';
import { useEdited } from '../lib/use-edited';
import { setQuery, where } from '../router';
import { Button } from '../ui/basics';
import { SelectField, TextField } from '../ui/fields';
import { RangePicker } from '../ui/range-picker';

/** The range that the list shows unless the reader chooses another: the API keeps events that long by default. */
const FALLBACK = '7d';

export interface EventFilter {
  type: string;
  status: string;
  outcome: string;
  statusCode: string;
}

const TYPE = /^[A-Z0-9_]+(\.[A-Z0-9_]+){0,7}$/;
const CODE = /^[1-9]\d{2}$/;

export function filterOf(query: URLSearchParams): EventFilter {
  const given = (name: string) => query.get(name) ?? '';
  return { type: given('type'), status: given('status'), outcome: given('outcome'), statusCode: given('code') };
}

export const hasFilter = (filter: EventFilter): boolean => Object.values(filter).some(Boolean);

export const eventRange = (): TimeRange => currentRange(FALLBACK);

/** The query of a range. A range that ends now has no end, so that new events are part of it. */
export const rangeQuery = ({ preset, from, to }: TimeRange): { from: string; to?: string } => (preset ? { from } : { from, to });

const STATUSES = [['', 'Any status'], ...DELIVERY_STATUSES.map((status) => [status, humanize(status)] as const)] as const;
const RESULTS = [['', 'Any result'], ...OUTCOMES.map((outcome) => [outcome, humanize(outcome)] as const)] as const;

export function EventFilters({ events }: { events: readonly string[] }) {
  const filter = filterOf(where.value.query);
  return (
    <div class="toolbar" role="search" aria-label="Deliveries">
      <RangePicker fallback={FALLBACK} />
      <SelectField label="Status" compact value={filter.status} options={STATUSES} onChange={(status) => setQuery({ status })} />
      <SelectField label="Last attempt" compact value={filter.outcome} options={RESULTS} onChange={(outcome) => setQuery({ outcome, code: '' })} />
      <CodeField value={filter.statusCode} />
      <TypeField value={filter.type} events={events} />
      {hasFilter(filter) && (
        <Button kind="quiet" onClick={() => setQuery({ type: '', status: '', outcome: '', code: '' })}>
          Clear filters
        </Button>
      )}
    </div>
  );
}

/** How long after the last key a typed filter applies. */
const TYPING_PAUSE_MS = 500;

/** A text that becomes part of the URL once it is valid and the reader stops typing. */
function useTyped(value: string, isValid: (text: string) => boolean, set: (text: string) => void) {
  const [text, setText] = useEdited(value);
  const typed = text.trim().toUpperCase();
  const valid = typed === '' || isValid(typed);
  useEffect(() => {
    if (!valid || typed === value) return;
    const timer = setTimeout(() => set(typed), TYPING_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed, valid, value]);
  return { text, setText, valid };
}

function CodeField({ value }: { value: string }) {
  const { text, setText, valid } = useTyped(value, (typed) => CODE.test(typed), (code) => setQuery({ code }));
  const error = !valid && text.trim().length >= 3 ? ['Three digits, such as 500.'] : [];
  return <TextField label="Status code" compact short inputMode="numeric" placeholder="500" value={text} onChange={setText} errors={error} />;
}

function TypeField({ value, events }: { value: string; events: readonly string[] }) {
  const { text, setText, valid } = useTyped(value, (typed) => TYPE.test(typed), (type) => setQuery({ type }));
  const hint = events.filter((pattern) => pattern !== '*')[0] ?? 'NOTIFICATION.SMS';
  return (
    <TextField
      label="Type or group"
      compact
      mono
      placeholder={hint}
      value={text}
      onChange={setText}
      errors={valid ? [] : ['Use segments of A-Z, 0-9 and _, separated by dots.']}
    />
  );
}
