// Sends a test event and shows its delivery, on the webhook's page.

import { useState } from 'preact/hooks';
import type { OfferedType, Webhook } from '../api/types';
import { listAttempts, offeredTypes, readEvent, sendTest, type WebhookRef } from '../api/webhooks';
import { covers } from '../lib/tree';
import { useResource } from '../lib/use-resource';
import { Link, to } from '../router';
import { mayWrite } from '../session';
import { Button, Card, DeliveryBadge, ProblemNote, Loading } from '../ui/basics';
import { useRun } from '../ui/dialog';
import { SelectField } from '../ui/fields';
import { AttemptList } from './attempt-list';

const POLL_INTERVAL_MS = 1000;

export function TestCard({ webhookRef, webhook }: { webhookRef: WebhookRef; webhook: Webhook }) {
  const [type, setType] = useState('');
  const [sent, setSent] = useState<string | null>(null);
  const types = useResource((signal) => offeredTypes(webhookRef.brand, signal), [webhookRef.brand]);
  const { busy, problem, go } = useRun(async () => setSent((await sendTest(webhookRef, type || null)).eventId));
  if (!mayWrite()) return null;
  const active = webhook.status === 'active';
  return (
    <Card title="Test event" id="test">
      <p class="muted">
        {active
          ? "Sends the catalogue's example of an event type to this webhook only, marked as a test event."
          : `This webhook is ${webhook.status}. You can send a test event once it is active.`}
      </p>
      <div class="inline-form">
        <SelectField label="Type" value={type} options={optionsOf(types.data ?? [], webhook)} onChange={setType} />
        <Button kind="main" onClick={go} busy={busy} disabled={!active}>
          Send a test event
        </Button>
      </div>
      <ProblemNote problem={problem} />
      {sent && <Result key={sent} webhookRef={webhookRef} event={sent} />}
    </Card>
  );
}

function optionsOf(types: readonly OfferedType[], webhook: Webhook): [string, string][] {
  const fitting = types.filter(({ type, enabled }) => enabled && webhook.events.some((pattern) => covers(pattern, type)));
  return [['', 'Any subscribed type'], ...fitting.map(({ type }): [string, string] => [type, type])];
}

/** Polls until the first attempt has ended. */
function Result({ webhookRef, event }: { webhookRef: WebhookRef; event: string }) {
  const [over, setOver] = useState(false);
  const poll = async (signal: AbortSignal) => {
    const attempts = (await listAttempts(webhookRef, event, signal)).items;
    const found = await readEvent(webhookRef, event, signal);
    if (attempts.length > 0 && found.delivery.status !== 'pending') setOver(true);
    return { attempts, delivery: found.delivery };
  };
  const { data, problem } = useResource(poll, [event], { every: over ? undefined : POLL_INTERVAL_MS });
  // The router may not have stored the event yet.
  const early = problem?.status === 404;
  return (
    <div class="test-result" aria-live="polite">
      {!early && <ProblemNote problem={problem} />}
      {(!data || data.attempts.length === 0) && (
        <>
          <p>Sent. Waiting for the first attempt to end…</p>
          <Loading lines={1} />
        </>
      )}
      {data && data.attempts.length > 0 && (
        <>
          <p>
            <DeliveryBadge status={data.delivery.status} />{' '}
            <Link to={to.event(webhookRef.brand, webhookRef.webhook, event)}>View the event</Link>
          </p>
          <AttemptList attempts={data.attempts} delivery={data.delivery} />
        </>
      )}
    </div>
  );
}
