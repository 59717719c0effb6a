// A table of webhooks: health first, then what they are, how they fare, and what they receive.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { HEALTH_STATES, type Webhook } from '../api/types';
import { listEvents } from '../api/webhooks';
import { readDay, type Day } from '../lib/day-stats';
import { share } from '../lib/format';
import { shortUrl, webhookName } from '../lib/health';
import { sumBuckets } from '../lib/stats';
import { Link, to } from '../router';
import { Copy, Time } from '../ui/basics';
import { HealthCell } from '../ui/health';
import { Sparkline } from '../ui/sparkline';
import { Table, type Column } from '../ui/table';

const SHOWN_EVENTS = 2;

interface Props {
  webhooks: Webhook[];
  /** Whether to show the brands. */
  brands?: boolean;
  /** Whether heads sort; only a list that was read completely can be sorted here. */
  sortable?: boolean;
  /** Ids of the selected webhooks; null if they cannot be selected. */
  chosen?: ReadonlySet<string> | null;
  tick?: (ids: readonly string[], on: boolean) => void;
}

export function WebhookList({ webhooks, brands = false, sortable = false, chosen = null, tick }: Props) {
  const columns: Column<Webhook>[] = [
    ...(chosen && tick ? [tickColumn(chosen, tick)] : []),
    { head: 'Webhook', names: true, class: 'cell-webhook', sort: webhookName, cell: (webhook) => <Name webhook={webhook} /> },
    ...(brands ? [{ head: 'Brand', sort: (webhook: Webhook) => webhook.brandId, cell: (webhook: Webhook) => <Link to={to.brand(webhook.brandId)}>{webhook.brandId}</Link> }] : []),
    { head: 'Health', sort: severity, cell: (webhook) => <HealthCell webhook={webhook} /> },
    { head: '24 hours', class: 'cell-day', cell: (webhook) => <Visible>{() => <DayCell webhook={webhook} />}</Visible> },
    { head: 'Events', class: 'cell-events', cell: (webhook) => <Patterns webhook={webhook} /> },
    { head: 'Last event', cell: (webhook) => <Visible>{() => <LastEvent webhook={webhook} />}</Visible> },
  ];
  return (
    <Table
      label="Webhooks"
      rows={webhooks}
      keyOf={(webhook) => webhook.id}
      columns={columns}
      rowClass={(webhook) => (webhook.health?.state === 'failing' ? 'row-bad' : undefined)}
      {...(sortable ? { sortBy: 'sort' } : {})}
    />
  );
}

const severity = ({ health, status }: Webhook): number => HEALTH_STATES.indexOf(health?.state ?? (status === 'active' ? 'healthy' : status));

function tickColumn(chosen: ReadonlySet<string>, tick: (ids: readonly string[], on: boolean) => void): Column<Webhook> {
  return {
    head: 'Select',
    class: 'cell-select',
    cell: (webhook) => (
      <input type="checkbox" aria-label={`Select ${webhookName(webhook)} of ${webhook.brandId}`} checked={chosen.has(webhook.id)} onChange={(event) => tick([webhook.id], event.currentTarget.checked)} />
    ),
  };
}

export const Name = ({ webhook }: { webhook: Webhook }) => (
  <>
    <Link to={to.webhook(webhook.brandId, webhook.id)} class="strong">
      {webhookName(webhook)}
    </Link>
    {webhook.description && (
      <span class="cell-url">
        <span class="muted url" title={webhook.endpoint}>
          {shortUrl(webhook.endpoint)}
        </span>
        <Copy text={webhook.endpoint} what="URL" small />
      </span>
    )}
  </>
);

const Patterns = ({ webhook: { events } }: { webhook: Webhook }) => (
  <span class="tags small">
    {events.slice(0, SHOWN_EVENTS).map((pattern) => (
      <code key={pattern}>{pattern === '*' ? 'everything' : pattern}</code>
    ))}
    {events.length > SHOWN_EVENTS && <span class="muted">+{events.length - SHOWN_EVENTS}</span>}
  </span>
);

/** Renders its content once it becomes visible, because each row costs requests. */
function Visible({ children }: { children: () => ComponentChildren }) {
  const box = useRef<HTMLSpanElement>(null);
  const [seen, setSeen] = useState(false);
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      setSeen(true);
    });
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  return (
    <span ref={box} class="visible">
      {seen ? children() : '…'}
    </span>
  );
}

function DayCell({ webhook: { brandId, id } }: { webhook: Webhook }) {
  const [day, setDay] = useState<Day>('coming');
  useEffect(() => {
    let gone = false;
    void readDay({ brand: brandId, webhook: id }).then((read) => gone || setDay(read));
    return () => {
      gone = true;
    };
  }, [brandId, id]);
  if (day === 'unknown') return <span class="muted">No statistics</span>;
  const all = day === 'coming' ? null : sumBuckets(day);
  return (
    <span class="day">
      <Sparkline buckets={day === 'coming' ? [] : day} />
      <span class="muted small">{all === null ? '…' : all.attempts === 0 ? 'no attempts' : `${share(all.delivered, all.attempts)} ok`}</span>
    </span>
  );
}

const CACHE_TTL_MS = 30_000;
const lastEvents = new Map<string, { at: number; event: Promise<string | null> }>();

/** When the newest event of a webhook was created. */
function readLastEvent({ brandId, id }: Webhook): Promise<string | null> {
  const found = lastEvents.get(id);
  if (found && Date.now() - found.at < CACHE_TTL_MS) return found.event;
  const event = listEvents({ brand: brandId, webhook: id }, { order: 'desc', limit: 1 }).then(({ items }) => items[0]?.created ?? null);
  lastEvents.set(id, { at: Date.now(), event });
  return event;
}

function LastEvent({ webhook }: { webhook: Webhook }) {
  const [at, setAt] = useState<string | null | 'coming' | 'unknown'>('coming');
  useEffect(() => {
    let gone = false;
    void readLastEvent(webhook)
      .then((read) => gone || setAt(read))
      .catch(() => gone || setAt('unknown'));
    return () => {
      gone = true;
    };
  }, [webhook.id]);
  if (at === 'coming') return <>…</>;
  if (at === 'unknown') return <span class="muted">Unknown</span>;
  return at === null ? <span class="muted">None in 7 days</span> : <Time at={at} relative />;
}
