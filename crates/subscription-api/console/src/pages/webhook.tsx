// A webhook: its health, settings, statistics, secret and events, and the actions on it.

import { useState } from 'preact/hooks';
import type { Webhook } from '../api/types';
import { editWebhook, deleteWebhook, readWebhook, type WebhookRef } from '../api/webhooks';
import { humanize } from '../lib/format';
import { useResource } from '../lib/use-resource';
import { Link, navigate, to, type PageProps } from '../router';
import { isSupport, mayWrite } from '../session';
import { announce } from '../ui/announce';
import { Button, Card, Fact, Facts, Note, ProblemNote, Time, Loading, WebhookBadge } from '../ui/basics';
import { Confirm, useRun } from '../ui/dialog';
import { Heading } from '../ui/shell';
import { EventsCard } from './events-card';
import { DisableDialog, EnableDialog } from './support-dialogs';
import { HealthCard } from './webhook-health';
import { SecretCard } from './webhook-secret';
import { StatsCard } from './webhook-stats';
import { TestCard } from './webhook-test';

const POLL_INTERVAL_MS = 5000;

export function WebhookPage({ params: { brand = '', webhook = '' } }: PageProps) {
  const webhookRef = { brand, webhook };
  const { data, problem, reload, set } = useResource((signal) => readWebhook(webhookRef, signal), [brand, webhook], { every: POLL_INTERVAL_MS });
  const deleted = isSupport() && problem?.status === 404;
  const actions = data && <Actions webhookRef={webhookRef} webhook={data} onChange={set} />;
  return (
    <>
      <Heading title={data?.endpoint ?? 'Webhook'} up={[[to.webhooks(brand), `Webhooks of ${brand}`]]} actions={actions}>
        {data && <State webhook={data} />}
      </Heading>
      {deleted ? <Deleted webhookRef={webhookRef} /> : <ProblemNote problem={problem} retry={reload} />}
      {!data && !problem && <Loading lines={6} />}
      {data && (
        <>
          <div class="columns">
            <HealthCard webhookRef={webhookRef} webhook={data} />
            <Settings webhook={data} />
          </div>
          <StatsCard webhookRef={webhookRef} />
          <div class="columns">
            <TestCard webhookRef={webhookRef} webhook={data} />
            <SecretCard webhookRef={webhookRef} />
          </div>
          <EventsCard webhookRef={webhookRef} webhook={data} />
        </>
      )}
    </>
  );
}

/** Shows the events of a deleted webhook to support until they expire. */
const Deleted = ({ webhookRef }: { webhookRef: WebhookRef }) => (
  <>
    <Note tone="warn">
      <p>
        This webhook no longer exists. If it was deleted, its events are listed below until they expire. The{' '}
        <Link to="/audit">audit log</Link> shows who deleted it.
      </p>
    </Note>
    <EventsCard webhookRef={webhookRef} webhook={null} />
  </>
);

const State = ({ webhook }: { webhook: Webhook }) => (
  <>
    <p class="tags">
      <WebhookBadge webhook={webhook} />
      {webhook.description && <span>{webhook.description}</span>}
    </p>
    {webhook.status === 'paused' && (
      <Note tone="warn">
        <p>It is paused. It receives no events, and events that occur in the meantime are not recorded for it.</p>
      </Note>
    )}
    {webhook.disabled && (
      <Note tone="bad">
        <p>
          <strong>Disabled: {humanize(webhook.disabled.reason).toLowerCase()}</strong>, <Time at={webhook.disabled.at} relative />.{' '}
          <bdi>{webhook.disabled.detail}</bdi>
        </p>
        <p>
          {isSupport()
            ? 'New events are held. Enable the webhook here once its endpoint is fixed.'
            : 'New events are held and stay readable. Fix the endpoint, then ask support to enable it.'}
        </p>
      </Note>
    )}
  </>
);

interface ActionProps {
  webhookRef: WebhookRef;
  webhook: Webhook;
  onChange: (webhook: Webhook) => void;
}

type Asking = 'pause' | 'delete' | 'disable' | 'enable' | null;

function Actions({ webhookRef, webhook, onChange }: ActionProps) {
  const [asking, setAsking] = useState<Asking>(null);
  const close = () => setAsking(null);
  const resume = useRun(async () => {
    onChange(await editWebhook(webhookRef, { enabled: true }));
    announce('The webhook is active again.');
  });
  if (!mayWrite()) return null;
  return (
    <>
      <ProblemNote problem={resume.problem} />
      {webhook.status === 'active' && <Button onClick={() => setAsking('pause')}>Pause…</Button>}
      {webhook.status === 'paused' && (
        <Button kind="main" onClick={resume.go} busy={resume.busy}>
          Resume
        </Button>
      )}
      {isSupport() && webhook.status === 'disabled' && (
        <Button kind="main" onClick={() => setAsking('enable')}>
          Enable…
        </Button>
      )}
      {isSupport() && webhook.status !== 'disabled' && <Button onClick={() => setAsking('disable')}>Disable…</Button>}
      <Link to={to.editWebhook(webhookRef.brand, webhookRef.webhook)} class="button">
        Edit
      </Link>
      <Button kind="danger" onClick={() => setAsking('delete')}>
        Delete…
      </Button>
      {asking === 'pause' && <Pause webhookRef={webhookRef} onChange={onChange} onClose={close} />}
      {asking === 'delete' && <Delete webhookRef={webhookRef} webhook={webhook} onClose={close} />}
      {asking === 'disable' && <DisableDialog webhook={webhook} onChange={onChange} onClose={close} />}
      {asking === 'enable' && <EnableDialog webhook={webhook} onChange={onChange} onClose={close} />}
    </>
  );
}

function Pause({ webhookRef, onChange, onClose }: { webhookRef: WebhookRef; onChange: (webhook: Webhook) => void; onClose: () => void }) {
  const run = async () => {
    onChange(await editWebhook(webhookRef, { enabled: false }));
    announce('The webhook is paused.');
  };
  return (
    <Confirm title="Pause this webhook" action="Pause" danger={false} run={run} onClose={onClose}>
      <p>
        It receives no events until you resume it. Pending deliveries are discarded, and <strong>events that occur in the
        meantime are not recorded for it</strong>, so they cannot be redelivered later.
      </p>
    </Confirm>
  );
}

function Delete({ webhookRef, webhook, onClose }: { webhookRef: WebhookRef; webhook: Webhook; onClose: () => void }) {
  const run = async () => {
    await deleteWebhook(webhookRef);
    announce('The webhook is deleted.');
    navigate(to.webhooks(webhookRef.brand));
  };
  return (
    <Confirm title="Delete this webhook" action="Delete for good" typed={new URL(webhook.endpoint).hostname} run={run} onClose={onClose}>
      <p>
        <span class="url">{webhook.endpoint}</span> receives no more events, and pending deliveries are discarded. Its secret is deleted
        permanently. Only support can read its events, until they expire.
      </p>
    </Confirm>
  );
}

const Settings = ({ webhook }: { webhook: Webhook }) => (
  <Card title="Settings">
    <Facts>
      <Fact label="Events">
        <span class="tags">
          {webhook.events.map((pattern) => (
            <code key={pattern}>{pattern === '*' ? '* (everything)' : pattern}</code>
          ))}
        </span>
      </Fact>
      <Fact label="Requests">
        {webhook.maxConcurrency} at a time{webhook.ratePerSecond !== null && `, ${webhook.ratePerSecond} per second at most`}
      </Fact>
      <Fact label="Custom headers">
        {Object.keys(webhook.headers).length === 0 ? 'None' : Object.keys(webhook.headers).map((name) => <code key={name}>{name} </code>)}
      </Fact>
      <Fact label="Id">
        <code>{webhook.id}</code>
      </Fact>
      <Fact label="Created">
        <Time at={webhook.created} />
      </Fact>
      <Fact label="Updated">
        <Time at={webhook.updated} />
      </Fact>
    </Facts>
  </Card>
);
