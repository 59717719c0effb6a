// The deliveries of a webhook: filters, the list, and redelivery of selected events or of a range.

import { useMemo, useState } from 'preact/hooks';
import type { EventRow, Webhook } from '../api/types';
import { listEvents, readEvent, type WebhookRef } from '../api/webhooks';
import { DELIVERY_CSV } from '../lib/csv-columns';
import { pluralize } from '../lib/format';
import { useKept } from '../lib/places';
import { useNewest } from '../lib/use-newest';
import { usePages } from '../lib/use-pages';
import { where } from '../router';
import { mayWrite } from '../session';
import { Button, Card, Empty, ProblemNote, Loading } from '../ui/basics';
import { ExportCsv } from '../ui/export-csv';
import { describePreset } from '../ui/range-picker';
import { EventFilters, eventRange, filterOf, hasFilter, rangeQuery } from './event-filters';
import { EventList } from './event-list';
import { OpenJob } from './open-job';
import { RangeDialog } from './redeliver-range';
import { SelectionBar } from './redeliver-selection';

/** Page size: 50,000 events need few requests, and each one is quick. */
const PAGE = 500;

export function EventsCard({ webhookRef, webhook }: { webhookRef: WebhookRef; webhook: Webhook | null }) {
  const filter = filterOf(where.value.query);
  const range = eventRange();
  const key = JSON.stringify([webhookRef, filter, range.key]);
  const load = (limit: number, cursor: string | null, signal?: AbortSignal) =>
    listEvents(webhookRef, cursor ? { cursor, limit } : { ...filter, ...rangeQuery(eventRange()), order: 'desc', limit }, signal);
  const pages = usePages((cursor, signal) => load(PAGE, cursor, signal), [key], { follows: true });
  const newest = useNewest(pages, (limit) => load(limit, null), (id) => readEvent(webhookRef, id), key);
  const [chosen, setChosen] = useKept<ReadonlySet<string>>(`ticks ${key}`, new Set());
  const [asking, setAsking] = useState(false);
  const [started, setStarted] = useState(0);
  const selectable = mayWrite() && webhook?.status === 'active';

  const tick = useMemo(
    () => (ids: readonly string[], on: boolean) =>
      setChosen((old) => {
        const now = new Set(old);
        for (const id of ids) on ? now.add(id) : now.delete(id);
        return now;
      }),
    [setChosen],
  );

  /** Reads redelivered events again, so that the list shows their new status. */
  const refresh = async (ids: readonly string[]) => {
    const read = await Promise.all(ids.map((id) => readEvent(webhookRef, id).catch(() => null)));
    const found = new Map(read.filter((row) => row !== null).map((row) => [row.id, row]));
    pages.edit((items) => items.map((row) => withDelivery(row, found.get(row.id))));
  };

  const redeliver = mayWrite() && webhook && (
    <Button onClick={() => setAsking(true)} disabled={webhook.status !== 'active'}>
      Redeliver a range…
    </Button>
  );
  const period = range.preset ? `in the ${describePreset(range.preset).toLowerCase()}` : 'in this range';
  return (
    <Card id="events">
      <EventFilters events={webhook?.events ?? []} />
      {webhook && <OpenJob webhookRef={webhookRef} started={started} onOver={pages.reload} />}
      <ProblemNote problem={pages.problem} retry={pages.ready ? pages.next : pages.reload} />
      {!pages.ready && !pages.problem && <Loading lines={8} />}
      {pages.ready && (
        <div class="list-head">
          <p class="muted">
            {pluralize(pages.items.length, 'event')} {pages.more ? 'loaded; scroll for more.' : 'in all.'}
          </p>
          <div class="buttons">
            <div role="status">
              {newest.count > 0 && (
                <Button kind="main" onClick={newest.show}>
                  {newest.more ? 'Show many new events' : `Show ${pluralize(newest.count, 'new event')}`}
                </Button>
              )}
            </div>
            {pages.items.length > 0 && <ExportCsv file={`deliveries-${webhookRef.brand}`} columns={DELIVERY_CSV} read={(cursor, limit, signal) => load(limit, cursor, signal)} />}
            {redeliver}
          </div>
        </div>
      )}
      {pages.ready && pages.items.length === 0 && (
        <Empty title={hasFilter(filter) ? `No events match these filters ${period}.` : `No events ${period}.`}>
          {!hasFilter(filter) && webhook?.status === 'active' && <p>New events appear here by themselves.</p>}
        </Empty>
      )}
      {pages.items.length > 0 && (
        <EventList webhookRef={webhookRef} pages={pages} chosen={selectable ? chosen : null} tick={tick} />
      )}
      {selectable && chosen.size > 0 && (
        <SelectionBar
          webhookRef={webhookRef}
          ids={[...chosen]}
          delivered={pages.items.filter((row) => chosen.has(row.id) && row.delivery.status === 'delivered').length}
          clear={() => setChosen(new Set())}
          refresh={refresh}
        />
      )}
      {asking && <RangeDialog webhookRef={webhookRef} filter={filter} range={range} onClose={() => (setAsking(false), setStarted(started + 1))} onDone={pages.reload} />}
    </Card>
  );
}

const withDelivery = (row: EventRow, read: EventRow | undefined): EventRow => (read ? { ...row, delivery: read.delivery } : row);
