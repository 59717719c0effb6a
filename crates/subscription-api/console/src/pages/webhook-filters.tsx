// The filters of lists of webhooks. They are part of the URL and apply when the reader stops typing.

import { useEffect } from 'preact/hooks';
import type { Query } from '../api/client';
import { HEALTH_CHOICES } from '../lib/health';
import { useEdited } from '../lib/use-edited';
import { setQuery, where } from '../router';
import { Button } from '../ui/basics';
import { SelectField, TextField } from '../ui/fields';

const STATUSES = [
  ['', 'Any status'],
  ['active', 'Active'],
  ['paused', 'Paused'],
  ['disabled', 'Disabled'],
] as const;

const ORDERS = [
  ['', 'Newest last'],
  ['attention', 'Worst first'],
] as const;

const TYPING_PAUSE_MS = 400;
const NAMES = ['q', 'health', 'status', 'order'] as const;

/** The query of the API for the filters of the address. */
export const webhookQuery = (query: URLSearchParams): Record<(typeof NAMES)[number], string> =>
  Object.fromEntries(NAMES.map((name) => [name, query.get(name) ?? ''])) as Record<(typeof NAMES)[number], string>;

export const hasWebhookFilter = ({ q, health, status }: Query): boolean => Boolean(q || health || status);

export function WebhookFilters({ children }: { children?: preact.ComponentChildren }) {
  const query = where.value.query;
  const { q, health, status, order } = webhookQuery(query);
  return (
    <div class="toolbar" role="search" aria-label="Webhooks">
      <TypedField label="Find" placeholder="Part of the URL or description" value={q} name="q" />
      {children}
      <SelectField label="Health" compact value={health} options={HEALTH_CHOICES} onChange={(value) => setQuery({ health: value })} />
      <SelectField label="Status" compact value={status} options={STATUSES} onChange={(value) => setQuery({ status: value })} />
      <SelectField label="Order" compact value={order} options={ORDERS} onChange={(value) => setQuery({ order: value, sort: '' })} />
      {(hasWebhookFilter({ q, health, status }) || query.has('brand')) && (
        <Button kind="quiet" onClick={() => setQuery({ q: '', health: '', status: '', brand: '' })}>
          Clear filters
        </Button>
      )}
    </div>
  );
}

/** A text that becomes the query parameter `name` when the reader stops typing. */
export function TypedField({ label, placeholder, value, name }: { label: string; placeholder: string; value: string; name: string }) {
  const [text, setText] = useEdited(value);
  useEffect(() => {
    if (text.trim() === value) return;
    const timer = setTimeout(() => setQuery({ [name]: text.trim() }), TYPING_PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text, value]);
  return <TextField label={label} compact placeholder={placeholder} value={text} onChange={setText} />;
}
