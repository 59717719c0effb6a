// The attempts of one event in short, newest first, for places without space for the inspector.

import type { Attempt, Delivery } from '../api/types';
import { millis } from '../lib/format';
import { explain } from '../lib/outcomes';
import { Badge, Code, Time } from '../ui/basics';
import { TRIGGERS } from './attempt-inspector';

export const AttemptList = ({ attempts, delivery }: { attempts: readonly Attempt[]; delivery: Delivery }) => (
  <ol class="timeline">
    {delivery.nextAttemptAt && delivery.status === 'pending' && (
      <li class="next">
        <p>
          <Badge tone="info">Next attempt</Badge> <Time at={delivery.nextAttemptAt} relative />, at <Time at={delivery.nextAttemptAt} />
        </p>
      </li>
    )}
    {[...attempts].reverse().map((attempt, n) => (
      <Line key={attempt.attemptId} attempt={attempt} number={attempts.length - n} />
    ))}
  </ol>
);

function Line({ attempt, number }: { attempt: Attempt; number: number }) {
  const good = attempt.outcome === 'delivered';
  const { label, what, advice } = explain(attempt);
  return (
    <li class={good ? 'good' : 'bad'}>
      <p>
        <Badge tone={good ? 'good' : 'bad'}>{good ? 'Delivered' : label}</Badge> {TRIGGERS[attempt.trigger]}, took {millis(attempt.durationMs)},{' '}
        <Time at={attempt.startedAt} />
      </p>
      {!good && (
        <p>
          {what} {advice}
        </p>
      )}
      {attempt.responseBody ? (
        <details>
          <summary>Response body</summary>
          <Code label={`Response body of attempt ${number}`}>{attempt.responseBody}</Code>
        </details>
      ) : (
        attempt.statusCode !== null && <p class="muted">The response body was empty.</p>
      )}
    </li>
  );
}
