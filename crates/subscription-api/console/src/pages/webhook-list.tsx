// A list of webhooks with their status and a sparkline of the last day.

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Webhook } from '../api/types';
import { humanize, share } from '../lib/format';
import { readDay, type Day } from '../lib/day-stats';
import { sumBuckets } from '../lib/stats';
import { Link, to } from '../router';
import { Badge, WebhookBadge } from '../ui/basics';
import { Sparkline } from '../ui/sparkline';

const SHOWN_EVENTS = 3;

export const WebhookList = ({ webhooks, brands = false }: { webhooks: Webhook[]; brands?: boolean }) => (
  <ul class="webhooks">
    {webhooks.map((webhook) => (
      <Row key={webhook.id} webhook={webhook} brands={brands} />
    ))}
  </ul>
);

function Row({ webhook, brands }: { webhook: Webhook; brands: boolean }) {
  const row = useRef<HTMLLIElement>(null);
  const day = useDayWhenVisible(row, webhook);
  const more = webhook.events.length - SHOWN_EVENTS;
  return (
    <li ref={row}>
      <div class="webhook-what">
        <Link to={to.webhook(webhook.brandId, webhook.id)} class="url">
          {webhook.endpoint}
        </Link>
        {webhook.description && <p class="muted">{webhook.description}</p>}
        <p class="tags">
          {brands && <Link to={to.webhooks(webhook.brandId)}>{webhook.brandId}</Link>}
          {webhook.events.slice(0, SHOWN_EVENTS).map((pattern) => (
            <code key={pattern}>{pattern === '*' ? '* (everything)' : pattern}</code>
          ))}
          {more > 0 && <span class="muted">and {more} more</span>}
        </p>
      </div>
      <div class="webhook-state">
        <WebhookBadge webhook={webhook} />
        {webhook.disabled && <Badge tone="warn">{humanize(webhook.disabled.reason)}</Badge>}
      </div>
      <DayCell day={day} />
    </li>
  );
}

function DayCell({ day }: { day: Day }) {
  if (day === 'unknown') return <div class="webhook-day muted">No statistics</div>;
  const all = day === 'coming' ? null : sumBuckets(day);
  return (
    <div class="webhook-day">
      <Sparkline buckets={day === 'coming' ? [] : day} />
      <p>
        <strong>{all ? share(all.delivered, all.attempts) : '…'}</strong> <span class="muted">delivered, 24 h</span>
      </p>
    </div>
  );
}

/** Reads the statistics of the last day once the row becomes visible. */
function useDayWhenVisible(row: { current: HTMLElement | null }, { brandId, id }: Webhook): Day {
  const [day, setDay] = useState<Day>('coming');
  useEffect(() => {
    let gone = false;
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      void readDay({ brand: brandId, webhook: id }).then((read) => gone || setDay(read));
    });
    if (row.current) observer.observe(row.current);
    return () => {
      gone = true;
      observer.disconnect();
    };
  }, [brandId, id]);
  return day;
}
