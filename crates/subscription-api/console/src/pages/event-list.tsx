import type { EventRow } from '../api/types';
import type { WebhookRef } from '../api/webhooks';
import type { Pages } from '../lib/use-pages';
import { zoneName } from '../lib/zone';
import { Link, to } from '../router';
import { Badge, DeliveryBadge, Time } from '../ui/basics';
import { VirtualList } from '../ui/virtual-list';

interface Props {
  webhookRef: WebhookRef;
  pages: Pages<EventRow>;
  /** Ids of the selected events; null if events cannot be selected. */
  chosen: ReadonlySet<string> | null;
  tick: (ids: readonly string[], on: boolean) => void;
}

/** The end of an id, because the ids of one hour begin alike. */
const SHOWN_ID_LENGTH = 8;

export function EventList({ webhookRef, pages, chosen, tick }: Props) {
  const heads = (
    <>
      {chosen && (
        <span role="columnheader" class="cell-tick">
          <TickAll items={pages.items} chosen={chosen} tick={tick} />
        </span>
      )}
      <span role="columnheader" class="cell-type">Event</span>
      <span role="columnheader" class="cell-created">Created ({zoneName()})</span>
      <span role="columnheader" class="cell-status">Status</span>
      <span role="columnheader" class="cell-attempts">Attempts</span>
      <span role="columnheader" class="cell-error">Last error</span>
    </>
  );
  return (
    <div class={`events ${chosen ? 'with-ticks' : ''}`}>
      <VirtualList
        label="Events"
        heads={heads}
        items={pages.items}
        keyOf={(row) => row.id}
        more={pages.more}
        next={pages.next}
        columns={chosen ? 6 : 5}
      >
        {(row) => (
          <>
            {chosen && (
              <span role="cell" class="cell-tick">
                <input
                  type="checkbox"
                  aria-label={`Select event ${row.id}`}
                  checked={chosen.has(row.id)}
                  onChange={(event) => tick([row.id], event.currentTarget.checked)}
                />
              </span>
            )}
            <span role="cell" class="cell-type">
              <Link to={to.event(webhookRef.brand, webhookRef.webhook, row.id)} class="mono" title={row.id}>
                {row.type}
              </Link>
              <code class="muted cell-id">…{row.id.slice(-SHOWN_ID_LENGTH)}</code>
              {row.test && <Badge tone="idle">Test</Badge>}
            </span>
            <span role="cell" class="cell-created">
              <Time at={row.created} bare />
            </span>
            <span role="cell" class="cell-status">
              <DeliveryBadge status={row.delivery.status} />
            </span>
            <span role="cell" class="cell-attempts">
              <span class="narrow-only">Attempts: </span>
              {row.delivery.attempts}
            </span>
            <span role="cell" class="cell-error" title={row.delivery.lastError ?? undefined}>
              {row.delivery.lastError ?? ''}
            </span>
          </>
        )}
      </VirtualList>
    </div>
  );
}

function TickAll({ items, chosen, tick }: { items: EventRow[]; chosen: ReadonlySet<string>; tick: Props['tick'] }) {
  const all = chosen.size > 0 && items.every((row) => chosen.has(row.id));
  return (
    <input
      type="checkbox"
      aria-label="Select all loaded events"
      checked={all}
      ref={(input) => {
        if (input) input.indeterminate = !all && chosen.size > 0;
      }}
      onChange={(event) => tick(items.map((row) => row.id), event.currentTarget.checked)}
    />
  );
}
