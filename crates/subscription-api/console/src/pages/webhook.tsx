// A webhook: its name and health, and in tabs its deliveries, metrics, settings, and its secret with test events.

import { useState } from 'preact/hooks';
import type { Webhook } from '../api/types';
import { editWebhook, deleteWebhook, readWebhook, type WebhookRef } from '../api/webhooks';
import { deletionText, webhookName } from '../lib/health';
import { useResource } from '../lib/use-resource';
import { Link, navigate, to, type PageProps } from '../router';
import { isSupport, mayWrite } from '../session';
import { announce } from '../ui/announce';
import { Button, Copy, Note, ProblemNote, Loading } from '../ui/basics';
import { Confirm, useRun } from '../ui/dialog';
import { Menu, type MenuItem } from '../ui/menu';
import { Heading } from '../ui/shell';
import { Tabs } from '../ui/tabs';
import { EventsCard } from './events-card';
import { DisableDialog, EnableDialog } from './support-dialogs';
import { HealthLine } from './webhook-health';
import { SecretCard } from './webhook-secret';
import { SettingsCard } from './webhook-settings';
import { StatsCard } from './webhook-stats';
import { TestCard } from './webhook-test';

const POLL_INTERVAL_MS = 5000;

export function WebhookPage({ params: { brand = '', webhook = '' } }: PageProps) {
  const webhookRef = { brand, webhook };
  const { data, problem, reload, set } = useResource((signal) => readWebhook(webhookRef, signal), [brand, webhook], { every: POLL_INTERVAL_MS });
  const deleted = isSupport() && problem?.status === 404;
  const actions = data && <Actions webhookRef={webhookRef} webhook={data} onChange={set} />;
  const up = isSupport() ? [['/brands', 'Brands'], [to.brand(brand), brand], [to.webhooks(brand), 'Webhooks']] as const : [[to.webhooks(brand), 'Webhooks']] as const;
  return (
    <>
      <Heading title={data ? webhookName(data) : 'Webhook'} up={up} actions={actions}>
        {data && (
          <p class="url-line">
            <span class="url mono">{data.endpoint}</span>
            <Copy text={data.endpoint} what="URL" small />
          </p>
        )}
      </Heading>
      {deleted ? <Deleted webhookRef={webhookRef} /> : <ProblemNote problem={problem} retry={reload} />}
      {!data && !problem && <Loading lines={6} />}
      {data && (
        <>
          <HealthLine webhookRef={webhookRef} webhook={data} />
          <Tabs
            label="Webhook"
            tabs={[
              { id: 'deliveries', label: 'Deliveries', panel: () => <EventsCard webhookRef={webhookRef} webhook={data} /> },
              { id: 'metrics', label: 'Metrics', panel: () => <StatsCard webhookRef={webhookRef} /> },
              { id: 'settings', label: 'Settings', panel: () => <SettingsCard webhookRef={webhookRef} webhook={data} /> },
              {
                id: 'secret',
                label: 'Secret & test',
                panel: () => (
                  <div class="columns">
                    <SecretCard webhookRef={webhookRef} />
                    <TestCard webhookRef={webhookRef} webhook={data} />
                  </div>
                ),
              },
            ]}
          />
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
        <Link to={`/audit?subject=${encodeURIComponent(webhookRef.webhook)}`}>audit log</Link> shows who deleted it.
      </p>
    </Note>
    <EventsCard webhookRef={webhookRef} webhook={null} />
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
  const more: MenuItem[] = [
    ...(isSupport() && webhook.status !== 'disabled' ? [{ label: 'Disable…', run: () => setAsking('disable') }] : []),
    { label: 'Delete…', run: () => setAsking('delete'), danger: true },
  ];
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
      <Link to={to.editWebhook(webhookRef.brand, webhookRef.webhook)} class="button">
        Edit
      </Link>
      <Menu label="More actions" items={more} />
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
    <Confirm title="Delete this webhook" action="Delete for good" typed={deletionText(webhook)} run={run} onClose={onClose}>
      <p>
        <span class="url">{webhook.endpoint}</span> receives no more events, and pending deliveries are discarded. Its secret is deleted
        permanently. Only support can read its events, until they expire.
      </p>
    </Confirm>
  );
}
