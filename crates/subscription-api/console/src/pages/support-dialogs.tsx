// The dialogs in which support disables a webhook with a reason, or enables it with a note.

import { useState } from 'preact/hooks';
import { disableWebhook, enableWebhook } from '../api/support';
import type { Webhook } from '../api/types';
import { announce } from '../ui/announce';
import { Confirm } from '../ui/dialog';
import { AreaField, CheckField } from '../ui/fields';

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
  const run = async () => {
    onChange(await enableWebhook(webhook.id, note.trim(), redeliver));
    announce(redeliver ? 'The webhook is active; its held events are being redelivered.' : 'The webhook is active.');
  };
  return (
    <Confirm title="Enable this webhook" action="Enable" danger={false} run={run} onClose={onClose}>
      <p>
        <span class="url">{webhook.endpoint}</span> receives events again. Its failure counts start from zero.
      </p>
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
