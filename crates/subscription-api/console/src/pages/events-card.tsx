// The events of a webhook: filters, the list, and redelivery of selected events or of a range.

import { useMemo, useState } from 'preact/hooks';
import type { EventRow, Webhook } from '../api/types';
import { listEvents, readEvent, type WebhookRef } from '../api/webhooks';
import { pluralize } from '../lib/format';
import { useNewest } from '../lib/use-newest';
import { usePages } from '../lib/use-pages';
import { where } from '../router';
import { mayWrite } from '../session';
import { Button, Card, Empty, ProblemNote, Loading } from '../ui/basics';
import { EventFilters, filterOf, hasFilter } from './event-filters';
import { EventList } from './event-list';
import { RangeDialog } from './redeliver-range';
import { SelectionBar } from './redeliver-selection';

/** Page size: 50,000 events need few requests, and each one is quick. */
const PAGE = 500;

export function EventsCard({ webhookRef, webhook }: { webhookRef: WebhookRef; webhook: Webhook | null }) {
  const filter = filterOf(where.value.query);
  const key = JSON.stringify([webhookRef, filter]);
  const load = (limit: number, cursor: string | null, signal?: AbortSignal) =>
    listEvents(webhookRef, cursor ? { cursor, limit } : { ...filter, order: 'desc', limit }, signal);
  const pages = usePages((cursor, signal) => load(PAGE, cursor, signal), [key]);
  const newest = useNewest(pages, (limit) => load(limit, null), (id) => readEvent(webhookRef, id), key);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [asking, setAsking] = useState(false);
  const selectable = mayWrite() && webhook?.status === 'active';

  const tick = useMemo(
    () => (ids: readonly string[], on: boolean) =>
      setChosen((old) => {
        const now = new Set(old);
        for (const id of ids) on ? now.add(id) : now.delete(id);
        return now;
      }),
    [],
  );

  /** Reads redelivered events again, so that the list shows their new status. */
  const refresh = async (ids: readonly string[]) => {
    const read = await Promise.all(ids.map((id) => readEvent(webhookRef, id).catch(() => null)));
    const found = new Map(read.filter((row) => row !== null).map((row) => [row.id, row]));
    pages.edit((items) => items.map((row) => withDelivery(row, found.get(row.id))));
  };

  const range = mayWrite() && webhook && (
    <Button onClick={() => setAsking(true)} disabled={webhook.status !== 'active'}>
      Redeliver a range…
    </Button>
  );
  return (
    <Card title="Events" actions={range} id="events">
      <EventFilters events={webhook?.events ?? []} />
      <ProblemNote problem={pages.problem} retry={pages.ready ? pages.next : pages.reload} />
      {!pages.ready && !pages.problem && <Loading lines={8} />}
      {pages.ready && (
        <div class="list-head">
          <p class="muted">
            {pluralize(pages.items.length, 'event')} {pages.more ? 'loaded; scroll for more.' : 'in all.'}
          </p>
          <div role="status">
            {newest.count > 0 && (
              <Button kind="main" onClick={newest.show}>
                {newest.more ? 'Show many new events' : `Show ${pluralize(newest.count, 'new event')}`}
              </Button>
            )}
          </div>
        </div>
      )}
      {pages.ready && pages.items.length === 0 && (
        <Empty title={hasFilter(filter) ? 'No events match these filters.' : 'No events in the last seven days.'} />
      )}
      {pages.items.length > 0 && (
        <EventList webhookRef={webhookRef} pages={pages} chosen={selectable ? chosen : null} tick={tick} />
      )}
      {selectable && chosen.size > 0 && (
        <SelectionBar webhookRef={webhookRef} ids={[...chosen]} clear={() => setChosen(new Set())} refresh={refresh} />
      )}
      {asking && <RangeDialog webhookRef={webhookRef} filter={filter} onClose={() => setAsking(false)} onDone={pages.reload} />}
    </Card>
  );
}

const withDelivery = (row: EventRow, now: EventRow | undefined): EventRow =>
  now ? { ...row, delivery: now.delivery } : row;
