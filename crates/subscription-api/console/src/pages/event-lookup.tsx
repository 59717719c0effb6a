// "Where is my event?": one event without a webhook in its address, what the router did with it, and each webhook of the
// brand with what came of it there.

import { lookUpAnyEvent, lookUpEvent } from '../api/events';
import type { EventLookup, LookupWebhook } from '../api/types';
import { redeliverEvent } from '../api/webhooks';
import { count } from '../lib/format';
import { webhookName, shortUrl } from '../lib/health';
import { answerOf, byResult, DISPOSITION_WORDS, isMeant, isMoving, RESULT_WORDS, resultSentence } from '../lib/lookup';
import { useResource } from '../lib/use-resource';
import { Link, to, type PageProps } from '../router';
import { isSupport, mayWrite } from '../session';
import { announce } from '../ui/announce';
import { Badge, Button, Card, Empty, Fact, Facts, Id, Note, ProblemNote, Time, Loading } from '../ui/basics';
import { BodyView } from '../ui/body-view';
import { useRun } from '../ui/dialog';
import { Heading } from '../ui/shell';
import { Table, type Column } from '../ui/table';

const POLL_INTERVAL_MS = 3000;
const QUIET_INTERVAL_MS = 15_000;

/** An event by its brand and id. */
export const LookupPage = ({ params: { brand = '', event = '' } }: PageProps) => (
  <Lookup id={event} brand={brand} load={(signal) => lookUpEvent(brand, event, signal)} />
);

/** An event of which support knows only the id or the message id. */
export const AnyEventPage = ({ params: { id = '' } }: PageProps) => <Lookup id={id} brand={null} load={(signal) => lookUpAnyEvent(id, signal)} />;

interface LookupProps {
  id: string;
  brand: string | null;
  load: (signal: AbortSignal) => Promise<EventLookup>;
}

function Lookup({ id, brand, load }: LookupProps) {
  const { data, problem, reload } = useResource(load, [brand, id], {
    every: POLL_INTERVAL_MS,
    isQuiet: (event) => !isMoving(event),
    quietEvery: QUIET_INTERVAL_MS,
  });
  const owner = brand ?? data?.brandId ?? null;
  const up = isSupport()
    ? ([['/events', 'Events'], ...(owner ? [[to.brand(owner), owner], [to.events(owner), `Events of ${owner}`]] : [])] as [string, string][])
    : ([[to.events(owner ?? ''), 'Events']] as [string, string][]);
  const words = data && DISPOSITION_WORDS[data.disposition];
  const badge = data && (
    <>
      {words && <Badge tone={words.tone}>{words.label}</Badge>}
      {data.test && <Badge tone="idle">Test</Badge>}
    </>
  );
  return (
    <>
      <Heading title={data?.type ?? 'Event'} mono={!!data?.type} up={up} badge={badge}>
        <p class="tags">
          <Id id={data?.id ?? id} what="event id" />
          {data && (
            <span class="muted">
              received <Time at={data.received} relative />
            </span>
          )}
        </p>
      </Heading>
      {problem?.status === 404 ? <NotFound id={id} brand={brand} /> : <ProblemNote problem={problem} retry={reload} />}
      {!data && !problem && <Loading lines={6} />}
      {data && problem?.status !== 404 && owner !== null && <Found event={data} brand={owner} reload={reload} />}
    </>
  );
}

const NotFound = ({ id, brand }: { id: string; brand: string | null }) => (
  <Empty title={brand ? `No event of ${brand} has this id.` : 'No event has this id or message id.'}>
    <p>
      Events can be found for the retention period (7 days by default). One that was published a moment ago may still wait to be routed; this
      page looks again every few seconds.
    </p>
    <p>
      Searched for: <Id id={id} what="id" />
    </p>
  </Empty>
);

interface FoundProps {
  event: EventLookup;
  brand: string;
  reload: () => Promise<void>;
}

function Found({ event, brand, reload }: FoundProps) {
  const { tone, text, advice } = answerOf(event);
  return (
    <>
      {(event.others?.length ?? 0) > 0 && <Others others={event.others ?? []} />}
      <Card title="Where is my event?">
        <div class={`verdict ${tone}`}>
          <p>
            <strong>{text}</strong> {advice} <Remedy event={event} brand={brand} />
          </p>
        </div>
        <Webhooks event={event} brand={brand} reload={reload} />
      </Card>
      <div class="columns uneven">
        <Card title="Data">
          {event.data === null ? (
            <p class="muted">The data was not kept, because no webhook wanted the event.</p>
          ) : (
            <BodyView label="Event data" text={event.data} file={`event-${event.id}`} />
          )}
        </Card>
        <FactsCard event={event} brand={brand} />
      </div>
    </>
  );
}

/** Leads to where the cause can be changed. */
function Remedy({ event: { disposition }, brand }: { event: EventLookup; brand: string }) {
  if (disposition === 'rejected' && isSupport()) return <Link to="/rejected">Rejected events</Link>;
  if (disposition === 'not_enabled') return <Link to={to.types(brand)}>Event types of {brand}</Link>;
  if (disposition === 'no_webhook') return <Link to={to.webhooks(brand)}>Webhooks of {brand}</Link>;
  return null;
}

const Others = ({ others }: { others: readonly { brandId: string; id: string }[] }) => (
  <Note tone="warn">
    <p>
      This is the newest match. Other brands have an event with this id, too:{' '}
      {others.map(({ brandId, id }, n) => (
        <span key={`${brandId} ${id}`}>
          {n > 0 && ', '}
          <Link to={to.lookup(brandId, id)}>{brandId}</Link>
        </span>
      ))}
      .
    </p>
  </Note>
);

const FactsCard = ({ event, brand }: { event: EventLookup; brand: string }) => (
  <Card title="Event">
    <Facts>
      <Fact label="Id">
        <Id id={event.id} what="event id" />
      </Fact>
      <Fact label="Key">{event.key ? <Id id={event.key} what="key" /> : <span class="muted">none</span>}</Fact>
      <Fact label="Type">
        {event.type === null ? <span class="muted">none</span> : <code>{event.type}</code>}
      </Fact>
      {isSupport() && (
        <Fact label="Brand">
          <Link to={to.brand(brand)}>{brand}</Link>
        </Fact>
      )}
      <Fact label="Created">
        <Time at={event.created} />
      </Fact>
      <Fact label="Received">
        <Time at={event.received} />
      </Fact>
      <Fact label="Duplicates">
        {event.duplicates === 0 ? 'none' : `published ${count(event.duplicates)} more ${event.duplicates === 1 ? 'time' : 'times'}; only the first counts`}
      </Fact>
    </Facts>
  </Card>
);

function Webhooks({ event, brand, reload }: FoundProps) {
  const rows = byResult(event.webhooks);
  if (rows.length === 0) {
    // An event that was rejected or not enabled was matched with no webhook, however many there are.
    return event.disposition !== 'no_webhook' ? null : <p class="muted">This brand has no webhook.</p>;
  }
  const columns: Column<LookupWebhook>[] = [
    {
      head: 'Webhook',
      names: true,
      cell: (row) => (
        <span class="named">
          <Link to={to.webhook(brand, row.webhookId)}>{webhookName(row)}</Link>
          {row.description && <span class="muted small url">{shortUrl(row.endpoint)}</span>}
        </span>
      ),
    },
    { head: 'Result', cell: ({ result }) => <Badge tone={RESULT_WORDS[result]?.tone ?? 'idle'}>{RESULT_WORDS[result]?.label ?? result}</Badge> },
    { head: 'Why', class: 'wide-cell', cell: (row) => <Why row={row} /> },
    {
      head: 'Attempts',
      end: true,
      class: 'nowrap',
      cell: ({ webhookId, delivery }) =>
        delivery ? <Link to={to.event(brand, webhookId, event.id)}>{`${count(delivery.attempts)} ${delivery.attempts === 1 ? 'attempt' : 'attempts'}`}</Link> : <span class="muted">–</span>,
    },
    { head: 'Action', end: true, cell: (row) => <Redeliver row={row} brand={brand} event={event.id} reload={reload} /> },
  ];
  return <Table label="Webhooks" rows={rows} keyOf={({ webhookId }) => webhookId} columns={columns} rowClass={(row) => (isMeant(row) ? undefined : 'tone-quiet')} />;
}

const Why = ({ row }: { row: LookupWebhook }) => (
  <span class="named">
    <bdi>{resultSentence(row)}</bdi>
    {row.nextAttemptAt && (
      <span class="muted small">
        next attempt <Time at={row.nextAttemptAt} relative />
      </span>
    )}
  </span>
);

function Redeliver({ row, brand, event, reload }: { row: LookupWebhook; brand: string; event: string; reload: () => Promise<void> }) {
  const run = useRun(async () => {
    await redeliverEvent({ brand, webhook: row.webhookId }, event);
    announce('The event is queued for redelivery.');
    await reload();
  });
  if (!mayWrite() || !row.delivery) return null;
  const active = row.status === 'active';
  return (
    <span class="named">
      <Button onClick={run.go} busy={run.busy} disabled={!active} label={`Redeliver to ${webhookName(row)}`}>
        Redeliver
      </Button>
      {!active && <span class="muted small">once it is active</span>}
      {run.problem && <span class="error-text small">{run.problem.detail}</span>}
    </span>
  );
}
