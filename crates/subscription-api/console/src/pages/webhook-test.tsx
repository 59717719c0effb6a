// Sends a test event and shows what came of it.

import { useState } from 'preact/hooks';
import { sendTestAsSupport } from '../api/secret';
import type { OfferedType, Webhook } from '../api/types';
import { offeredTypes, sendTest, type WebhookRef } from '../api/webhooks';
import { covers } from '../lib/tree';
import { useResource } from '../lib/use-resource';
import { isSupport, mayWrite } from '../session';
import { Button, Card, ProblemNote } from '../ui/basics';
import { useRun } from '../ui/dialog';
import { SelectField } from '../ui/fields';
import { TestResult } from './test-result';

/** Whether the reader may send a test event to a webhook: support may even while it is disabled. */
export const mayTest = (webhook: Webhook): boolean => mayWrite() && (webhook.status === 'active' || (isSupport() && webhook.status === 'disabled'));

export const sendTestTo = (webhookRef: WebhookRef, webhook: Webhook, type: string | null) =>
  webhook.status === 'disabled' ? sendTestAsSupport(webhook.id, type) : sendTest(webhookRef, type);

export function TestCard({ webhookRef, webhook }: { webhookRef: WebhookRef; webhook: Webhook }) {
  const [type, setType] = useState('');
  const [sent, setSent] = useState<string | null>(null);
  const types = useResource((signal) => offeredTypes(webhookRef.brand, signal), [webhookRef.brand]);
  const { busy, problem, go } = useRun(async () => {
    setSent(null);
    setSent((await sendTestTo(webhookRef, webhook, type || null)).eventId);
  });
  if (!mayWrite()) return null;
  const possible = mayTest(webhook);
  return (
    <Card title="Test event" id="test">
      <p class="muted">
        {possible
          ? "Sends the catalogue's example of an event type to this webhook only, marked as a test event."
          : `This webhook is ${webhook.status}. ${webhook.status === 'disabled' ? 'Support can send a test event before enabling it.' : 'You can send a test event once it is active.'}`}
      </p>
      <div class="inline-form">
        <SelectField label="Type" value={type} options={optionsOf(types.data ?? [], webhook)} onChange={setType} />
        <Button kind="main" onClick={go} busy={busy} disabled={!possible}>
          Send a test event
        </Button>
      </div>
      <ProblemNote problem={types.problem} retry={types.reload} />
      <ProblemNote problem={problem} />
      {sent && <TestResult key={sent} webhookRef={webhookRef} event={sent} />}
    </Card>
  );
}

function optionsOf(types: readonly OfferedType[], webhook: Webhook): [string, string][] {
  const fitting = types.filter(({ type, enabled }) => enabled && webhook.events.some((pattern) => covers(pattern, type)));
  return [['', 'Any subscribed type'], ...fitting.map(({ type }): [string, string] => [type, type])];
}
