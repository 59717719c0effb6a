// The screen after the creation of a webhook: the secret, code that verifies it, and the first delivery.

import { useState } from 'preact/hooks';
import { readSecret } from '../api/secret';
import type { EventRow, Webhook } from '../api/types';
import { listEvents, readWebhook, sendTest, type WebhookRef } from '../api/webhooks';
import { webhookName } from '../lib/health';
import { SNIPPETS, storedLanguage, storeLanguage } from '../lib/snippets';
import { useResource } from '../lib/use-resource';
import { Link, to, type PageProps } from '../router';
import { mayWrite } from '../session';
import { Button, Card, Copy, Note, ProblemNote, Snippet, Loading } from '../ui/basics';
import { useRun } from '../ui/dialog';
import { Icon } from '../ui/icon';
import { Heading } from '../ui/shell';
import { TestResult, Waiting } from './test-result';
import { takeNewSecret } from './webhook-secret';

const POLL_INTERVAL_MS = 2000;

export function CreatedWebhook({ params: { brand = '', webhook = '' } }: PageProps) {
  const webhookRef = { brand, webhook };
  const { data, problem, reload } = useResource((signal) => readWebhook(webhookRef, signal), [brand, webhook]);
  const page = to.webhook(brand, webhook);
  const action = (
    <Link to={page} class="button">
      Open the webhook
    </Link>
  );
  return (
    <>
      <Heading title={data ? `${webhookName(data)} is created` : 'The webhook is created'} up={[[to.webhooks(brand), 'Webhooks'], [page, data ? webhookName(data) : webhook]]} actions={action}>
        {data && <p class="url mono muted">{data.endpoint}</p>}
      </Heading>
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading lines={6} />}
      {data && !mayWrite() && (
        <Note>
          <p>Your token is read-only, so it can neither show the secret nor send test events.</p>
        </Note>
      )}
      {data && mayWrite() && (
        <div class="walk">
          <SecretStep webhookRef={webhookRef} />
          <VerifyStep />
          <TestStep webhookRef={webhookRef} webhook={data} />
        </div>
      )}
    </>
  );
}

const Step = ({ number, title, children }: { number: number; title: string; children: preact.ComponentChildren }) => (
  <Card>
    <div class="step">
      <span class="step-number" aria-hidden="true">
        {number}
      </span>
      <div class="step-body">
        <h2>{title}</h2>
        {children}
      </div>
    </div>
  </Card>
);

function SecretStep({ webhookRef }: { webhookRef: WebhookRef }) {
  const [secret, setSecret] = useState(() => takeNewSecret(webhookRef.webhook));
  const show = useRun(async () => setSecret((await readSecret(webhookRef)).secret));
  return (
    <Step number={1} title="Store the signing secret">
      <p class="muted">
        Your receiver needs it to verify that requests come from Postrider. Keep it out of your code, for example in the variable <code>WEBHOOK_SECRET</code>. You find it again on the webhook's page.
      </p>
      <div class="secret">
        <code class={secret ? 'open' : ''}>{secret ?? 'whsec_••••••••••••••••••••'}</code>
        <div class="buttons">
          {secret ? (
            <Copy text={secret} what="Secret" />
          ) : (
            <Button onClick={show.go} busy={show.busy}>
              Show secret
            </Button>
          )}
        </div>
      </div>
      <ProblemNote problem={show.problem} />
    </Step>
  );
}

function VerifyStep() {
  return (
    <Step number={2} title="Verify requests">
      <p class="muted">
        Respond with a 2xx status within 15 seconds, and ignore events whose <code>id</code> you have already processed. The{' '}
        <a href="/docs">documentation</a> has complete receivers for the usual frameworks.
      </p>
      <LanguageSnippets />
    </Step>
  );
}

/** Code that verifies a request, in the language that the reader chose. */
export function LanguageSnippets() {
  const [language, setLanguage] = useState(storedLanguage);
  const choose = (id: string) => {
    setLanguage(id);
    storeLanguage(id);
  };
  const snippet = SNIPPETS.find(({ id }) => id === language) ?? SNIPPETS[0]!;
  return (
    <div class="snippets">
      <div class="segments" role="group" aria-label="Language">
        {SNIPPETS.map(({ id, language: name }) => (
          <button key={id} type="button" aria-pressed={id === snippet.id} onClick={() => choose(id)}>
            {name}
          </button>
        ))}
      </div>
      <Snippet label="Install the library">{snippet.install}</Snippet>
      <Snippet label={`${snippet.language}: verify a request`}>{snippet.code}</Snippet>
    </div>
  );
}

function TestStep({ webhookRef, webhook }: { webhookRef: WebhookRef; webhook: Webhook }) {
  const [sent, setSent] = useState<string | null>(null);
  const { busy, problem, go } = useRun(async () => {
    setSent(null);
    setSent((await sendTest(webhookRef, null)).eventId);
  });
  return (
    <Step number={3} title="See the first delivery">
      <p class="muted">Sends the catalogue's example of {webhook.events.includes('*') ? 'an event type' : 'a subscribed event type'} to this webhook only.</p>
      <div class="buttons">
        <Button kind="main" onClick={go} busy={busy}>
          {sent ? 'Send another test event' : 'Send a test event'}
        </Button>
      </div>
      <ProblemNote problem={problem} />
      {sent && <TestResult key={sent} webhookRef={webhookRef} event={sent} />}
      <FirstDelivery webhookRef={webhookRef} />
    </Step>
  );
}

/** A line that turns green once the endpoint has accepted an event, be it a test event or a real one. */
function FirstDelivery({ webhookRef }: { webhookRef: WebhookRef }) {
  const [first, setFirst] = useState<EventRow | null>(null);
  const load = async (signal: AbortSignal) => {
    const { items } = await listEvents(webhookRef, { status: 'delivered', order: 'asc', limit: 1 }, signal);
    if (items[0]) setFirst(items[0]);
    return items;
  };
  const { problem } = useResource(load, [webhookRef.webhook], { every: first ? undefined : POLL_INTERVAL_MS });
  return (
    <div class={`awaited-line ${first ? 'good' : ''}`} role="status">
      {first ? (
        <>
          <p>
            <Icon name="check" />
            <strong>Your endpoint accepted {first.test ? 'the test event' : 'its first event'}. The webhook works.</strong>
          </p>
          <Link to={to.webhook(webhookRef.brand, webhookRef.webhook)} class="button main">
            Open the webhook
          </Link>
        </>
      ) : (
        <Waiting text="Waiting for the first event that your endpoint accepts…" />
      )}
      <ProblemNote problem={problem} />
    </div>
  );
}
