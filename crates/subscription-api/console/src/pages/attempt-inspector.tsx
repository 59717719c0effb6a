// The attempt inspector: attempts on the left, newest first; on the right the exchange of the selected one.

import { useState } from 'preact/hooks';
import { readExchange } from '../api/events';
import type { Problem } from '../api/problem';
import type { Attempt, EventInFull, Exchange } from '../api/types';
import type { WebhookRef } from '../api/webhooks';
import { curlLine, forwardLine, hasHidden, wholeRequest } from '../lib/commands';
import { millis } from '../lib/format';
import { explain } from '../lib/outcomes';
import { useResource } from '../lib/use-resource';
import { setQuery, where } from '../router';
import { Badge, Button, Card, copyText, Id, Note, ProblemNote, Snippet, Time, Loading } from '../ui/basics';
import { Dialog } from '../ui/dialog';
import { TextField } from '../ui/fields';
import { Tabs, type Tab } from '../ui/tabs';
import { RequestPanel, ResponsePanel, TimingPanel } from './attempt-exchange';
import { ComparePanel } from './attempt-compare';

export const TRIGGERS: Record<Attempt['trigger'], string> = {
  fresh: 'First attempt',
  retry: 'Retry',
  redeliver: 'Redelivery',
  held: 'Delivery of a held event',
  test: 'Test',
  catchup: 'Catch-up',
};

interface Props {
  webhookRef: WebhookRef;
  event: EventInFull;
  /** Oldest first, as the API sends them. */
  attempts: readonly Attempt[];
}

export function AttemptInspector({ webhookRef, event, attempts }: Props) {
  const given = where.value.query.get('attempt');
  const newest = attempts.at(-1);
  const at = Math.max(attempts.findIndex(({ attemptId }) => attemptId === given), given ? -1 : attempts.length - 1);
  const index = at < 0 ? attempts.length - 1 : at;
  const selected = attempts[index];
  const { nextAttemptAt, status } = event.delivery;
  return (
    <Card title="Attempts">
      <div class="inspector">
        <nav class="attempts" aria-label="Attempts">
          <ol reversed>
            {nextAttemptAt && status === 'pending' && (
              <li class="next">
                <Badge tone="info">Next</Badge> <Time at={nextAttemptAt} relative />
              </li>
            )}
            {[...attempts].reverse().map((attempt, n) => (
              <li key={attempt.attemptId}>
                <AttemptButton
                  attempt={attempt}
                  number={attempts.length - n}
                  selected={attempt === selected}
                  select={() => setQuery({ attempt: attempt === newest ? '' : attempt.attemptId })}
                />
              </li>
            ))}
          </ol>
        </nav>
        {selected ? (
          <Selected key={selected.attemptId} webhookRef={webhookRef} event={event} attempt={selected} before={attempts[index - 1] ?? null} number={index + 1} />
        ) : (
          <p class="muted">No attempt has ended yet.</p>
        )}
      </div>
    </Card>
  );
}

function AttemptButton({ attempt, number, selected, select }: { attempt: Attempt; number: number; selected: boolean; select: () => void }) {
  const good = attempt.outcome === 'delivered';
  const { label, short } = explain(attempt);
  return (
    <button type="button" class={`attempt ${good ? 'good' : 'bad'}`} aria-current={selected ? 'true' : undefined} onClick={select}>
      <span class="attempt-line">
        <Badge tone={good ? 'good' : 'bad'}>{short ?? label}</Badge>
        <span class="muted small nowrap">{millis(attempt.durationMs)}</span>
      </span>
      <span class="attempt-line small">
        <span>
          {number}. {TRIGGERS[attempt.trigger]}
        </span>
        <Time at={attempt.startedAt} relative />
      </span>
    </button>
  );
}

interface SelectedProps {
  webhookRef: WebhookRef;
  event: EventInFull;
  attempt: Attempt;
  before: Attempt | null;
  number: number;
}

function Selected({ webhookRef, event, attempt, before, number }: SelectedProps) {
  const { data, problem, reload } = useResource((signal) => readExchange(webhookRef, event.id, attempt.attemptId, signal), [event.id, attempt.attemptId]);
  const { what, advice } = explain(data ?? attempt);
  const good = attempt.outcome === 'delivered';
  // For a status, the sentence says all that the error says.
  const error = attempt.outcome === 'http_status' ? null : attempt.error;
  return (
    <section class="exchange" aria-label={`Attempt ${number}`}>
      <div class={`verdict ${good ? 'good' : 'bad'}`}>
        <p>
          <strong>{what}</strong> {advice}
        </p>
        {error && (
          <p class="small">
            <bdi>{error}</bdi>
          </p>
        )}
      </div>
      <div class="exchange-head">
        <p class="muted small">
          {TRIGGERS[attempt.trigger]} at <Time at={attempt.startedAt} />, took {millis(attempt.durationMs)}
          {data?.remoteAddress && (
            <>
              , to <code>{data.remoteAddress}</code>
            </>
          )}
        </p>
        <Id id={attempt.attemptId} what="attempt id" />
      </div>
      <Tools exchange={data} webhookRef={webhookRef} event={event.id} />
      {problem && problem.status !== 404 && <ProblemNote problem={problem} retry={reload} />}
      {!data && !problem && <Loading lines={5} />}
      {(data || problem) && <Panels webhookRef={webhookRef} event={event} attempt={attempt} before={before} exchange={data} problem={problem} />}
    </section>
  );
}

function Panels({ webhookRef, event, attempt, before, exchange, problem }: Omit<SelectedProps, 'number'> & { exchange: Exchange | null; problem: Problem | null }) {
  const missing = problem?.status === 404 ? 'The request was not kept: this attempt is older than the exchange record, or the API is.' : '';
  const tabs: Tab[] = [
    { id: 'request', label: 'Request', panel: () => <RequestPanel exchange={exchange} attempt={attempt} missing={missing} /> },
    { id: 'response', label: 'Response', note: attempt.statusCode ?? undefined, panel: () => <ResponsePanel exchange={exchange} attempt={attempt} /> },
    { id: 'timing', label: 'Timing', note: millis(attempt.durationMs), panel: () => <TimingPanel exchange={exchange} attempt={attempt} /> },
    ...(before
      ? [{ id: 'compare', label: 'Compare', panel: () => <ComparePanel webhookRef={webhookRef} event={event.id} attempt={attempt} exchange={exchange} before={before} /> }]
      : []),
  ];
  return <Tabs label="Exchange" param="view" tabs={tabs} />;
}

function Tools({ exchange, webhookRef, event }: { exchange: Exchange | null; webhookRef: WebhookRef; event: string }) {
  const [forwarding, setForwarding] = useState(false);
  const request = wholeRequest(exchange?.request ?? null);
  return (
    <div class="buttons">
      {request && (
        <Button onClick={() => void copyText(curlLine(request), hasHidden(request) ? 'The curl command, with hidden header values to fill in, is' : 'The curl command is')}>Copy as curl</Button>
      )}
      <Button onClick={() => setForwarding(true)}>Forward to my machine…</Button>
      {forwarding && <ForwardDialog webhookRef={webhookRef} event={event} onClose={() => setForwarding(false)} />}
    </div>
  );
}

function ForwardDialog({ webhookRef: { brand, webhook }, event, onClose }: { webhookRef: WebhookRef; event: string; onClose: () => void }) {
  const [target, setTarget] = useState('http://localhost:3000/');
  const isUrl = /^https?:\/\/\S+$/.test(target.trim());
  return (
    <Dialog title="Forward this event to your machine" onClose={onClose}>
      <div>
        <p>
          The command line tool reads the event, signs it anew with the secret of this webhook, and sends it to a server on your machine. The
          endpoint and the state of this delivery stay as they are.
        </p>
        <TextField label="Your server" mono value={target} onChange={setTarget} errors={isUrl ? [] : ['It must begin with http:// or https://.']} />
        {isUrl && <Snippet label="Command">{forwardLine({ origin: location.origin, brand, webhook, event, target: target.trim() })}</Snippet>}
        <Note>
          <p>
            The tool takes your token from the variable <code>POSTRIDER_TOKEN</code>. It needs the role write, because it reads the secret. Leave out{' '}
            <code>--event</code> to forward each new event until you press Ctrl+C.
          </p>
        </Note>
        <div class="buttons">
          <Button onClick={onClose}>Close</Button>
        </div>
      </div>
    </Dialog>
  );
}

