// The timeline of an event's attempts, including the next one.

import type { Attempt, Delivery } from '../api/types';
import { millis, humanize } from '../lib/format';
import { Badge, Code, Time } from '../ui/basics';

const TRIGGERS: Record<Attempt['trigger'], string> = {
  fresh: 'First attempt',
  retry: 'Retry',
  redeliver: 'Redelivery',
  held: 'Delivery of a held event',
  test: 'Test',
};

export const AttemptList = ({ attempts, delivery }: { attempts: readonly Attempt[]; delivery: Delivery }) => (
  <ol class="timeline">
    {attempts.map((attempt, n) => (
      <Line key={attempt.attemptId} attempt={attempt} number={n + 1} />
    ))}
    {delivery.nextAttemptAt && delivery.status === 'pending' && (
      <li class="next">
        <p>
          <Badge tone="info">Next attempt</Badge> <Time at={delivery.nextAttemptAt} relative />,{' '}
          <Time at={delivery.nextAttemptAt} />
        </p>
      </li>
    )}
  </ol>
);

function Line({ attempt, number }: { attempt: Attempt; number: number }) {
  const good = attempt.outcome === 'delivered';
  return (
    <li class={good ? 'good' : 'bad'}>
      <p>
        <Badge tone={good ? 'good' : 'bad'}>{humanize(attempt.outcome)}</Badge>{' '}
        {attempt.statusCode !== null && <strong>{attempt.statusCode} </strong>}
        <span>
          {TRIGGERS[attempt.trigger]} (attempt {number}), <Time at={attempt.startedAt} />, took {millis(attempt.durationMs)}
        </span>
      </p>
      {attempt.error && <p class="error-text">{attempt.error}</p>}
      {attempt.responseBody ? (
        <details>
          <summary>Response body</summary>
          <Code label={`Response body of attempt ${number}`}>{attempt.responseBody}</Code>
        </details>
      ) : (
        attempt.statusCode !== null && <p class="muted">The response body was empty.</p>
      )}
      <p class="muted small">
        Attempt <code>{attempt.attemptId}</code>
      </p>
    </li>
  );
}
