// The result of a test event: its first attempt, as soon as it ended.

import { useEffect, useState } from 'preact/hooks';
import type { Attempt } from '../api/types';
import { listAttempts, type WebhookRef } from '../api/webhooks';
import { humanize, millis } from '../lib/format';
import { useResource } from '../lib/use-resource';
import { Link, to } from '../router';
import { Badge, ProblemNote } from '../ui/basics';
import { Icon } from '../ui/icon';

const POLL_INTERVAL_MS = 1000;

interface Props {
  webhookRef: WebhookRef;
  event: string;
  onEnd?: (attempt: Attempt) => void;
}

/** Polls until the first attempt has ended. */
export function TestResult({ webhookRef, event, onEnd }: Props) {
  const [over, setOver] = useState(false);
  const poll = async (signal: AbortSignal) => (await listAttempts(webhookRef, event, signal)).items[0] ?? null;
  const { data: attempt, problem } = useResource(poll, [event], { every: over ? undefined : POLL_INTERVAL_MS });
  useEffect(() => {
    if (!attempt) return;
    setOver(true);
    onEnd?.(attempt);
  }, [attempt !== null]);
  // The router may not have stored the event yet.
  const early = problem?.status === 404;
  return (
    <div class="test-result" aria-live="polite">
      {!early && <ProblemNote problem={problem} />}
      {attempt ? <Ended webhookRef={webhookRef} event={event} attempt={attempt} /> : <Waiting text="Sent. Waiting for the endpoint's response…" />}
    </div>
  );
}

export const Waiting = ({ text }: { text: string }) => (
  <p class="awaited">
    <span class="pulse" aria-hidden="true" />
    {text}
  </p>
);

function Ended({ webhookRef, event, attempt }: { webhookRef: WebhookRef; event: string; attempt: Attempt }) {
  const good = attempt.outcome === 'delivered';
  return (
    <div class={`outcome ${good ? 'good' : 'bad'}`}>
      <p>
        {good ? <Icon name="check" /> : <Badge tone="bad">{humanize(attempt.outcome)}</Badge>}
        <strong>{good ? `Delivered: the endpoint responded with ${attempt.statusCode}` : (attempt.error ?? `The endpoint responded with ${attempt.statusCode}`)}</strong>
        <span>in {millis(attempt.durationMs)}.</span>
      </p>
      <Link to={to.event(webhookRef.brand, webhookRef.webhook, event)}>{good ? 'View the event' : 'View request and response'}</Link>
    </div>
  );
}
