// One event at one webhook: its delivery, and every attempt with the request that was sent and the response.

import { listAttempts, readEvent, readWebhook, redeliverEvent, type WebhookRef } from '../api/webhooks';
import { lookUpEvent } from '../api/events';
import type { Attempt, Delivery, EventInFull, LookupWebhook, Webhook } from '../api/types';
import { pluralize } from '../lib/format';
import { webhookName } from '../lib/health';
import { resultSentence } from '../lib/lookup';
import { useResource } from '../lib/use-resource';
import { Link, to, type PageProps } from '../router';
import { isSupport, mayWrite } from '../session';
import { announce } from '../ui/announce';
import { Badge, Button, Card, DeliveryBadge, Fact, Facts, Id, Note, ProblemNote, Time, Loading } from '../ui/basics';
import { BodyView } from '../ui/body-view';
import { useRun } from '../ui/dialog';
import { Heading } from '../ui/shell';
import { AttemptInspector } from './attempt-inspector';

const POLL_INTERVAL_MS = 3000;
const QUIET_INTERVAL_MS = 15_000;

interface Seen {
  event: EventInFull;
  attempts: Attempt[];
  /** Why the delivery waits; null if it does not, or if the API cannot say. */
  waits: LookupWebhook | null;
}

async function load(webhookRef: WebhookRef, id: string, signal: AbortSignal): Promise<Seen> {
  const [event, attempts] = await Promise.all([readEvent(webhookRef, id, signal), listAttempts(webhookRef, id, signal)]);
  let waits: LookupWebhook | null = null;
  if (event.delivery.status === 'pending') {
    // Only the lookup knows why a delivery waits. The page is complete without it.
    const found = await lookUpEvent(webhookRef.brand, id, signal).catch(() => null);
    waits = found?.webhooks.find(({ webhookId }) => webhookId === webhookRef.webhook) ?? null;
  }
  return { event, attempts: attempts.items, waits };
}

export function EventPage({ params: { brand = '', webhook = '', event = '' } }: PageProps) {
  const webhookRef = { brand, webhook };
  const { data, problem, reload } = useResource((signal) => load(webhookRef, event, signal), [brand, webhook, event], {
    every: POLL_INTERVAL_MS,
    isQuiet: ({ event: { delivery } }) => delivery.status !== 'pending',
    quietEvery: QUIET_INTERVAL_MS,
  });
  const owner = useResource((signal) => readWebhook(webhookRef, signal), [brand, webhook]);
  const again = useRun(async () => {
    await redeliverEvent(webhookRef, event);
    announce('The event is queued for redelivery.');
    await reload();
  });
  const active = owner.data?.status === 'active';
  const actions = data && (
    <>
      <Link to={to.lookup(brand, event)} class="button">
        All webhooks
      </Link>
      {mayWrite() && owner.data && (
        <Button kind="main" onClick={again.go} busy={again.busy} disabled={!active}>
          Redeliver
        </Button>
      )}
    </>
  );
  const up = [
    [to.webhooks(brand), isSupport() ? `Webhooks of ${brand}` : 'Webhooks'],
    [to.webhook(brand, webhook), owner.data ? webhookName(owner.data) : webhook],
  ] as const;
  return (
    <>
      <Heading title={data?.event.type ?? 'Event'} mono={!!data} up={up} actions={actions} badge={data && <State event={data.event} />}>
        <p class="tags">
          <Id id={event} what="event id" />
          {data && (
            <span class="muted">
              created <Time at={data.event.created} />
            </span>
          )}
        </p>
        {owner.data && !active && mayWrite() && data && (
          <p class="muted">The webhook is {owner.data.status}: its events can be redelivered once it is active.</p>
        )}
      </Heading>
      <ProblemNote problem={again.problem} />
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading lines={6} />}
      {data && <Found {...data} webhookRef={webhookRef} webhook={owner.data} />}
    </>
  );
}

const State = ({ event: { delivery, test } }: { event: EventInFull }) => (
  <>
    <DeliveryBadge status={delivery.status} />
    {test && <Badge tone="idle">Test</Badge>}
  </>
);

function Found({ event, attempts, waits, webhookRef, webhook }: Seen & { webhookRef: WebhookRef; webhook: Webhook | null }) {
  return (
    <>
      <Waiting delivery={event.delivery} waits={waits} webhook={webhook} />
      {(attempts.length > 0 || event.delivery.nextAttemptAt) && <AttemptInspector webhookRef={webhookRef} event={event} attempts={attempts} />}
      <div class="columns uneven">
        <Card title="Data">
          <BodyView label="Event data" text={event.data ?? 'null'} file={`event-${event.id}`} />
        </Card>
        <DeliveryFacts event={event} webhookRef={webhookRef} webhook={webhook} />
      </div>
    </>
  );
}

/** Says why nothing has happened yet, or what happens next. */
function Waiting({ delivery, waits, webhook }: { delivery: Delivery; waits: LookupWebhook | null; webhook: Webhook | null }) {
  if (delivery.status === 'held') {
    return (
      <Note tone="warn">
        <p>This event is held, because its webhook was disabled. It can be redelivered once the webhook is active.</p>
      </Note>
    );
  }
  if (delivery.status !== 'pending') return null;
  const failing = webhook?.health?.state === 'failing' && delivery.attempts === 0;
  return (
    <Note tone={waits?.result === 'retrying' || failing ? 'warn' : 'info'}>
      <p>
        {waits ? (
          <bdi>{resultSentence(waits)}</bdi>
        ) : delivery.attempts === 0 ? (
          'It waits for its first attempt. If the endpoint does not answer, attempts are made one at a time, so others may be in front of it.'
        ) : (
          `${pluralize(delivery.attempts, 'attempt')} failed; the next one follows by itself.`
        )}{' '}
        {delivery.nextAttemptAt && (
          <>
            Next attempt <Time at={delivery.nextAttemptAt} relative />, at <Time at={delivery.nextAttemptAt} />.
          </>
        )}
      </p>
    </Note>
  );
}

const DeliveryFacts = ({ event: { id, created, delivery }, webhookRef, webhook }: { event: EventInFull; webhookRef: WebhookRef; webhook: Webhook | null }) => (
  <Card title="Delivery">
    <Facts>
      <Fact label="Webhook">
        <Link to={to.webhook(webhookRef.brand, webhookRef.webhook)}>{webhook ? webhookName(webhook) : webhookRef.webhook}</Link>
      </Fact>
      {webhook && (
        <Fact label="Endpoint">
          <span class="url">{webhook.endpoint}</span>
        </Fact>
      )}
      <Fact label="Event id">
        <Id id={id} what="event id" />
      </Fact>
      <Fact label="Created">
        <Time at={created} />
      </Fact>
      <Fact label="Attempts">{delivery.attempts}</Fact>
      <Fact label="Last attempt">
        <Time at={delivery.lastAttemptAt} />
      </Fact>
      {delivery.lastError && <Fact label="Last error">{delivery.lastError}</Fact>}
    </Facts>
  </Card>
);
