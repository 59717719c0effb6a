// The request, the response and the timing of one attempt.

import type { Attempt, Exchange, Header } from '../api/types';
import { bytes, millis } from '../lib/format';
import { phasesOf } from '../lib/timing';
import { statusText } from '../lib/outcomes';
import { Badge, Copy, Fact, Facts, Note } from '../ui/basics';
import { BodyView } from '../ui/body-view';

/** The platform reads at most this much of a response's body, and keeps this much. */
const KEPT_BODY = 4096;
const KEPT_HEADERS = 4096;
const HIDDEN = '(hidden)';

interface Props {
  exchange: Exchange | null;
  attempt: Attempt;
}

export function RequestPanel({ exchange, attempt, missing }: Props & { missing: string }) {
  const request = exchange?.request;
  if (!request) {
    return <p class="muted">{missing || (attempt.outcome === 'auth' || attempt.outcome === 'blocked' ? 'No request was sent.' : 'The request was not kept.')}</p>;
  }
  const { method, url, headers, body } = request;
  return (
    <>
      {request.sent === false && (
        <Note>
          <p>This request was not sent, because no connection was open for it. It is shown as it would have been.</p>
        </Note>
      )}
      <p class="request-line">
        <strong>{method}</strong> {url === null ? <span class="muted">The URL was not recorded.</span> : <code>{url}</code>}
        {url !== null && <Copy text={url} what="URL" small />}
      </p>
      {headers ? <Headers headers={headers} label="Request headers" /> : <p class="muted">The headers of this request were not recorded.</p>}
      {headers?.some(([, value]) => value === HIDDEN) && (
        <p class="muted small">Values of custom headers are hidden here and in the curl command. "Show secret" on the webhook's page has them.</p>
      )}
      <h3>Body</h3>
      {body === null ? (
        <p class="muted">{request.bodyUnavailable ?? 'The body was not recorded.'}</p>
      ) : (
        <BodyView label="Request body" text={body} file={`request-${attempt.attemptId}`} note={request.sent === false ? undefined : 'These are the bytes that were signed and sent.'} />
      )}
    </>
  );
}

export function ResponsePanel({ exchange, attempt }: Props) {
  const response = exchange?.response;
  const body = response ? response.body : attempt.responseBody;
  if (exchange && !response) {
    return <p class="muted">No response arrived{attempt.error ? `: ${attempt.error}` : ''}.</p>;
  }
  if (!exchange && attempt.statusCode === null) return <p class="muted">No response arrived.</p>;
  const status = response?.status ?? attempt.statusCode;
  const size = new TextEncoder().encode(body ?? '').length;
  const isCut = response?.bodyTruncated ?? size >= KEPT_BODY;
  return (
    <>
      <p class="request-line">
        {status !== null && <Badge tone={status >= 200 && status < 300 ? 'good' : 'bad'}>{statusText(status)}</Badge>}
        {exchange?.location && (
          <span>
            points to <code>{exchange.location}</code>, which is not followed
          </span>
        )}
      </p>
      {response?.headers ? (
        <>
          <Headers headers={response.headers} label="Response headers" />
          {response.headersTruncated && <p class="muted small">Only the first {bytes(KEPT_HEADERS)} of the headers are kept.</p>}
        </>
      ) : (
        <p class="muted">The headers of this response were not kept.</p>
      )}
      <h3>Body</h3>
      {body ? (
        <BodyView
          label="Response body"
          text={body}
          file={`response-${attempt.attemptId}`}
          note={isCut ? `This is not the whole body: the first ${bytes(KEPT_BODY)} of a response are kept.` : undefined}
        />
      ) : (
        <p class="muted">The body was empty.</p>
      )}
    </>
  );
}

const Headers = ({ headers, label }: { headers: readonly Header[]; label: string }) => (
  <div class="headers">
    <div class="headers-head">
      <h3>{label}</h3>
      <Copy text={headers.map(([name, value]) => `${name}: ${value}`).join('\n')} what={label} small />
    </div>
    <dl>
      {headers.map(([name, value], n) => (
        <div key={n}>
          <dt>{name}</dt>
          <dd class={value === HIDDEN ? 'muted' : undefined}>{value}</dd>
        </div>
      ))}
    </dl>
  </div>
);

export function TimingPanel({ exchange, attempt }: Props) {
  const phases = exchange ? phasesOf(exchange.timing, attempt.durationMs, attempt.outcome) : [];
  const tls = exchange?.tls;
  return (
    <>
      {phases.length > 0 ? (
        <div class="phases" role="table" aria-label="Timing">
          {phases.map(({ name, begin, length, label }) => (
            <div key={name} role="row">
              <span role="rowheader">{label}</span>
              <span role="cell" class="phase-bar">
                <span
                  class={`phase ${name}`}
                  style={{ left: `${(begin / Math.max(attempt.durationMs, 1)) * 100}%`, width: `${Math.max((length / Math.max(attempt.durationMs, 1)) * 100, 0.5)}%` }}
                />
              </span>
              <span role="cell" class="phase-time">
                {millis(length)}
              </span>
            </div>
          ))}
        </div>
      ) : (
        <p class="muted">The phases of this attempt were not recorded. It took {millis(attempt.durationMs)} in all.</p>
      )}
      {exchange?.timing?.reusedConnection && <p class="muted">An open connection was used again, so there was no lookup, connect or TLS handshake.</p>}
      <Facts>
        <Fact label="In all">{millis(attempt.durationMs)}</Fact>
        {exchange?.remoteAddress && (
          <Fact label="Address">
            <code>{exchange.remoteAddress}</code>
          </Fact>
        )}
        {tls?.version && <Fact label="TLS">{tls.version}</Fact>}
      </Facts>
      {tls?.problem && (
        <Note tone="bad">
          <p>
            <strong>Certificate:</strong> <bdi>{tls.problem}</bdi>
          </p>
        </Note>
      )}
    </>
  );
}
