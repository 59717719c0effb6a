// One event: its data, its delivery, and all attempts.

import { listAttempts, readEvent, readWebhook, redeliverEvent } from '../api/webhooks';
import { indentJson } from '../lib/raw-json';
import { useResource } from '../lib/use-resource';
import { to, type PageProps } from '../router';
import { mayWrite } from '../session';
import { announce } from '../ui/announce';
import { Badge, Button, Card, Code, Copy, DeliveryBadge, Empty, Fact, Facts, ProblemNote, Time, Loading } from '../ui/basics';
import { useRun } from '../ui/dialog';
import { Heading } from '../ui/shell';
import { AttemptList } from './attempt-list';

const POLL_INTERVAL_MS = 3000;

export function EventPage({ params: { brand = '', webhook = '', event = '' } }: PageProps) {
  const webhookRef = { brand, webhook };
  const load = async (signal: AbortSignal) => {
    const [found, attempts] = await Promise.all([readEvent(webhookRef, event, signal), listAttempts(webhookRef, event, signal)]);
    return { event: found, attempts: attempts.items };
  };
  const { data, problem, reload } = useResource(load, [brand, webhook, event], { every: POLL_INTERVAL_MS });
  const owner = useResource((signal) => readWebhook(webhookRef, signal), [brand, webhook]);
  const again = useRun(async () => {
    await redeliverEvent(webhookRef, event);
    announce('The event is queued for redelivery.');
    await reload();
  });
  const active = owner.data?.status === 'active';
  const action = mayWrite() && owner.data && (
    <Button kind="main" onClick={again.go} busy={again.busy} disabled={!active}>
      Redeliver
    </Button>
  );
  const up = [
    [to.webhooks(brand), `Webhooks of ${brand}`],
    [to.webhook(brand, webhook), owner.data?.endpoint ?? webhook],
  ] as const;
  return (
    <>
      <Heading title={data?.event.type ?? 'Event'} up={up} actions={action}>
        {owner.data && !active && mayWrite() && (
          <p class="muted">The webhook is {owner.data.status}: its events can be redelivered once it is active.</p>
        )}
      </Heading>
      <ProblemNote problem={again.problem} />
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading lines={6} />}
      {data && <Found {...data} />}
    </>
  );
}

type Seen = { event: Awaited<ReturnType<typeof readEvent>>; attempts: Awaited<ReturnType<typeof listAttempts>>['items'] };

function Found({ event, attempts }: Seen) {
  const { delivery } = event;
  return (
    <div class="columns">
      <div>
        <Card title="Delivery">
          <Facts>
            <Fact label="Status">
              <DeliveryBadge status={delivery.status} /> {event.test && <Badge tone="idle">Test</Badge>}
            </Fact>
            <Fact label="Event id">
              <code>{event.id}</code>
            </Fact>
            <Fact label="Created">
              <Time at={event.created} />
            </Fact>
            <Fact label="Attempts">{delivery.attempts}</Fact>
            <Fact label="Last attempt">
              <Time at={delivery.lastAttemptAt} />
            </Fact>
            <Fact label="Next attempt">
              <Time at={delivery.nextAttemptAt} />
            </Fact>
            {delivery.lastError && <Fact label="Last error">{delivery.lastError}</Fact>}
          </Facts>
        </Card>
        <Card title="Data" actions={<Copy text={event.data ?? 'null'} what="Data" />}>
          <Code label="The event's data">{indentJson(event.data ?? 'null')}</Code>
        </Card>
      </div>
      <Card title="Attempts">
        {attempts.length === 0 && !delivery.nextAttemptAt ? (
          <Empty title="No attempt has ended yet." />
        ) : (
          <AttemptList attempts={attempts} delivery={delivery} />
        )}
      </Card>
    </div>
  );
}
