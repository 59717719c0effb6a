// An attempt beside the one before it: what differs in the request and in the response.

import type { ComponentChildren } from 'preact';
import { readExchange } from '../api/events';
import type { Attempt, Exchange, Header } from '../api/types';
import type { WebhookRef } from '../api/webhooks';
import { diffLines, isSame, type DiffLine } from '../lib/diff';
import { millis } from '../lib/format';
import { explain } from '../lib/outcomes';
import { indentJson, checkJson } from '../lib/raw-json';
import { showControls } from '../lib/show-controls';
import { useResource } from '../lib/use-resource';
import { Note, ProblemNote, Time, Loading } from '../ui/basics';

interface Props {
  webhookRef: WebhookRef;
  event: string;
  attempt: Attempt;
  exchange: Exchange | null;
  before: Attempt;
}

export function ComparePanel({ webhookRef, event, attempt, exchange, before }: Props) {
  const { data, problem, reload } = useResource((signal) => readExchange(webhookRef, event, before.attemptId, signal), [event, before.attemptId]);
  const isMissing = problem?.status === 404;
  return (
    <>
      <BothAttempts before={before} after={attempt} exchanges={[data, exchange]} />
      {problem && !isMissing && <ProblemNote problem={problem} retry={reload} />}
      {!data && !problem && <Loading />}
      {(isMissing || (data && !exchange)) && (
        <Note>
          <p>Headers and requests of these attempts were not kept; only the response bodies are compared.</p>
        </Note>
      )}
      {(data || isMissing) && (
        <>
          {data?.request && exchange?.request && (
            <Differences title="Request" before={requestLines(data.request)} after={requestLines(exchange.request)} hint="The signature, its time and the attempt id differ in every attempt." />
          )}
          <Differences title="Response" before={responseLines(data, before)} after={responseLines(exchange, attempt)} />
        </>
      )}
    </>
  );
}

const headerLines = (headers: readonly Header[] | null) => (headers ?? []).map(([name, value]) => `${name}: ${value}`);
const bodyLines = (text: string | null) => (text ? (checkJson(text) === null ? indentJson(text) : text).split('\n') : []);

const requestLines = ({ method, url, headers, body }: NonNullable<Exchange['request']>) => [`${method} ${url ?? ''}`.trim(), ...headerLines(headers), '', ...bodyLines(body)];

const responseLines = (exchange: Exchange | null, attempt: Attempt): string[] => {
  const response = exchange?.response;
  if (!response) return attempt.statusCode === null ? [] : [`${attempt.statusCode}`, '', ...bodyLines(attempt.responseBody)];
  return [`${response.status}`, ...headerLines(response.headers), '', ...bodyLines(response.body)];
};

function BothAttempts({ before, after, exchanges: [earlier, later] }: { before: Attempt; after: Attempt; exchanges: [Exchange | null, Exchange | null] }) {
  const rows: [string, ComponentChildren, ComponentChildren, boolean][] = [
    ['Outcome', explain(before).label, explain(after).label, before.outcome === after.outcome && before.statusCode === after.statusCode],
    ['Started', <Time at={before.startedAt} />, <Time at={after.startedAt} />, true],
    ['Duration', millis(before.durationMs), millis(after.durationMs), true],
    ['Address', earlier?.remoteAddress ?? '–', later?.remoteAddress ?? '–', earlier?.remoteAddress === later?.remoteAddress],
    ['TLS', earlier?.tls?.version ?? '–', later?.tls?.version ?? '–', earlier?.tls?.version === later?.tls?.version],
  ];
  return (
    <table class="compare" aria-label="Both attempts">
      <thead>
        <tr>
          <td />
          <th scope="col">The one before</th>
          <th scope="col">This attempt</th>
        </tr>
      </thead>
      <tbody>
        {rows.map(([label, one, other, same]) => (
          <tr key={label} class={same ? undefined : 'differs'}>
            <th scope="row">{label}</th>
            <td>{one}</td>
            <td>{other}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

const MARKS: Record<DiffLine['kind'], string> = { same: ' ', removed: '−', added: '+' };

function Differences({ title, before, after, hint }: { title: string; before: string[]; after: string[]; hint?: string }) {
  const lines = diffLines(before, after);
  if (before.length === 0 && after.length === 0) return null;
  return (
    <div class="snippet">
      <h3>{title}</h3>
      {isSame(lines) ? (
        <p class="muted">Both are the same.</p>
      ) : (
        <div class="code diff" tabIndex={0} role="region" aria-label={`${title}: differences`}>
          {lines.map(({ kind, text }, n) => (
            <div key={n} class={kind}>
              <span class="diff-mark">{MARKS[kind]}</span>
              {kind !== 'same' && <span class="hidden">{kind}: </span>}
              {showControls(text)}
            </div>
          ))}
        </div>
      )}
      {hint && <p class="muted small">{hint}</p>}
    </div>
  );
}
