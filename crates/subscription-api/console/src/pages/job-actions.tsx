// Actions on a redelivery job.

import { useState } from 'preact/hooks';
import { cancelJob } from '../api/jobs';
import type { WebhookRef } from '../api/webhooks';
import { mayWrite } from '../session';
import { announce } from '../ui/announce';
import { Button } from '../ui/basics';
import { Confirm } from '../ui/dialog';

export function CancelJob({ webhookRef, job, onDone }: { webhookRef: WebhookRef; job: string; onDone: () => Promise<void> | void }) {
  const [asking, setAsking] = useState(false);
  if (!mayWrite()) return null;
  const run = async () => {
    await cancelJob(webhookRef, job);
    announce('The redelivery is cancelled.');
    await onDone();
  };
  return (
    <>
      <Button onClick={() => setAsking(true)}>Cancel…</Button>
      {asking && (
        <Confirm title="Cancel this redelivery" action="Cancel the redelivery" run={run} onClose={() => setAsking(false)}>
          <p>Events that were not attempted yet keep their status. Those that were sent stay sent.</p>
        </Confirm>
      )}
    </>
  );
}
