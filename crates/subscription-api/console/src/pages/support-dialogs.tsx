// The dialogs in which support disables a webhook with a reason, or enables it after a test event.

import { useState } from 'preact/hooks';
import { sendTestAsSupport } from '../api/secret';
import { disableWebhook, enableWebhook } from '../api/support';
import type { Attempt, Webhook } from '../api/types';
import { now } from '../lib/clock';
import { healthLine } from '../lib/health';
import { announce } from '../ui/announce';
import { Button, ProblemNote } from '../ui/basics';
import { Confirm, useRun } from '../ui/dialog';
import { AreaField, CheckField } from '../ui/fields';
import { TestResult } from './test-result';

interface Props {
  webhook: Webhook;
  onChange: (webhook: Webhook) => void;
  onClose: () => void;
}

export function DisableDialog({ webhook, onChange, onClose }: Props) {
  const [detail, setDetail] = useState('');
  const run = async () => {
    onChange(await disableWebhook(webhook.id, detail.trim()));
    announce('The webhook is disabled.');
  };
  return (
    <Confirm title="Disable this webhook" action="Disable" run={run} onClose={onClose}>
      <p>Attempts stop. Pending deliveries and new events are held. Only support can enable the webhook again.</p>
      <AreaField label="Reason" hint="The brand sees it on the webhook's page." value={detail} onChange={setDetail} />
    </Confirm>
  );
}

export function EnableDialog({ webhook, onChange, onClose }: Props) {
  const [note, setNote] = useState('');
  const [redeliver, setRedeliver] = useState(true);
  const [tested, setTested] = useState<Attempt | null>(null);
  const failed = tested !== null && tested.outcome !== 'delivered';
  const run = async () => {
    onChange(await enableWebhook(webhook.id, note.trim(), redeliver));
    announce(redeliver ? 'The webhook is active; its held events are being redelivered.' : 'The webhook is active.');
  };
  return (
    <Confirm title="Enable this webhook" action={failed ? 'Enable anyway' : 'Enable'} danger={failed} run={run} onClose={onClose}>
      <p>
        <span class="url">{webhook.endpoint}</span> receives events again, and its failure counts start from zero. It is disabled{' '}
        {healthLine(webhook, now.value)}
      </p>
      <TestFirst webhook={webhook} tested={tested} onTested={setTested} />
      <AreaField label="Note" hint="For the audit log, for example who told you that the endpoint is fixed." value={note} onChange={setNote} />
      <CheckField
        label="Redeliver held events"
        hint="All events that arrived or were pending while the webhook was disabled."
        checked={redeliver}
        onChange={setRedeliver}
      />
    </Confirm>
  );
}

/** Sends a test event to the disabled webhook, so that nobody enables an endpoint that still fails. */
function TestFirst({ webhook, tested, onTested }: { webhook: Webhook; tested: Attempt | null; onTested: (attempt: Attempt | null) => void }) {
  const [event, setEvent] = useState<string | null>(null);
  const { busy, problem, go } = useRun(async () => {
    setEvent(null);
    onTested(null);
    setEvent((await sendTestAsSupport(webhook.id, null)).eventId);
  });
  return (
    <div class="test-first">
      <div class="inline-form">
        <p>
          <strong>{tested === null ? 'Test the endpoint first.' : tested.outcome === 'delivered' ? 'The endpoint works.' : 'The endpoint still fails.'}</strong>{' '}
          {tested !== null && tested.outcome !== 'delivered' && 'Postrider would soon disable the webhook again.'}
        </p>
        <Button onClick={go} busy={busy}>
          {event ? 'Send another test event' : 'Send a test event'}
        </Button>
      </div>
      <ProblemNote problem={problem} />
      {event && <TestResult key={event} webhookRef={{ brand: webhook.brandId, webhook: webhook.id }} event={event} onEnd={onTested} />}
    </div>
  );
}
