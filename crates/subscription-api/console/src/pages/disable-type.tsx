// Asks before support disables an event type or group for a brand, with what that concerns.

import { listBrandEvents } from '../api/events';
import { setTypeEnabled } from '../api/support';
import type { Webhook } from '../api/types';
import { listWebhooks } from '../api/webhooks';
import { count, pluralize } from '../lib/format';
import { webhookName } from '../lib/health';
import { webhooksOf } from '../lib/tree';
import { useResource } from '../lib/use-resource';
import { announce } from '../ui/announce';
import { Loading, Note, ProblemNote } from '../ui/basics';
import { Confirm } from '../ui/dialog';

const DAY_MS = 86_400_000;
/** Maximum number of events that are counted; beyond it the dialog says "more than". */
const MAX_COUNTED = 1000;
const NAMED = 5;

interface Props {
  brand: string;
  pattern: string;
  /** The enabled types that the pattern covers. */
  types: readonly string[];
  onClose: () => void;
  onDone: () => Promise<void>;
}

export function DisableType({ brand, pattern, types, onClose, onDone }: Props) {
  const webhooks = useResource((signal) => listWebhooks(brand, { limit: 1000 }, signal), [brand]);
  const from = new Date(Date.now() - DAY_MS).toISOString();
  const events = useResource((signal) => listBrandEvents(brand, { type: pattern, disposition: 'routed', from, limit: MAX_COUNTED }, signal), [brand, pattern]);
  const concerned = webhooksOf(webhooks.data?.items ?? [], types);
  const run = async () => {
    await setTypeEnabled(brand, pattern, false);
    await onDone();
    announce(`${pattern} is disabled for ${brand}.`);
  };
  return (
    <Confirm title={`Disable ${pattern} for ${brand}`} action="Disable" run={run} onClose={onClose}>
      <p>
        Events of {types.length === 1 ? 'this type' : `these ${count(types.length)} types`} are not delivered to {brand} any more. Those that occur meanwhile cannot be redelivered later.
      </p>
      {!webhooks.data && !webhooks.problem && <Loading lines={2} />}
      {webhooks.data && (
        <Note tone={concerned.length > 0 ? 'warn' : 'info'}>
          <p>
            <strong>{concerned.length === 0 ? 'No webhook subscribes to it.' : `${pluralize(concerned.length, 'webhook')} would receive less.`}</strong> {names(concerned)}
          </p>
          {events.data && (
            <p>
              {events.data.nextCursor ? `More than ${count(MAX_COUNTED)} events` : pluralize(events.data.items.length, 'event')} of it in the last 24 hours.
            </p>
          )}
        </Note>
      )}
      <ProblemNote problem={webhooks.problem} retry={webhooks.reload} />
      {events.problem && <p class="muted">The number of its events is not known.</p>}
    </Confirm>
  );
}

function names(webhooks: readonly Webhook[]): string {
  if (webhooks.length === 0) return '';
  const shown = webhooks.slice(0, NAMED).map(webhookName).join(', ');
  return webhooks.length > NAMED ? `${shown} and ${count(webhooks.length - NAMED)} more.` : `${shown}.`;
}
