// Enables several webhooks after an incident: each gets a test event first, and a webhook whose endpoint accepts it is enabled.

import { useRef, useState } from 'preact/hooks';
import { toProblem } from '../api/problem';
import { sendTestAsSupport } from '../api/secret';
import { enableWebhook } from '../api/support';
import type { Webhook } from '../api/types';
import { listAttempts } from '../api/webhooks';
import { pluralize } from '../lib/format';
import { webhookName } from '../lib/health';
import { Badge, Button, Progress, type Tone } from '../ui/basics';
import { Dialog } from '../ui/dialog';
import { AreaField, CheckField } from '../ui/fields';

/** Endpoints that are tested at the same time. */
const MAX_CONCURRENT = 4;
const POLL_INTERVAL_MS = 1000;
/** How long to wait for the first attempt of a test event. An attempt takes at most 15 s, and it may have to wait. */
const TEST_TIMEOUT_MS = 40_000;

type State = { tone: Tone; text: string; detail?: string };

const WAITING: State = { tone: 'idle', text: 'Waiting' };

interface Props {
  webhooks: readonly Webhook[];
  onClose: () => void;
  onDone: () => Promise<void>;
}

export function BulkEnable({ webhooks, onClose, onDone }: Props) {
  const [note, setNote] = useState('');
  const [test, setTest] = useState(true);
  const [redeliver, setRedeliver] = useState(true);
  const [states, setStates] = useState<ReadonlyMap<string, State> | null>(null);
  const [over, setOver] = useState(false);
  const [missing, setMissing] = useState(false);
  const stopped = useRef(false);
  const set = (id: string, state: State) => setStates((old) => new Map(old).set(id, state));

  const enableOne = async (webhook: Webhook) => {
    try {
      if (test) {
        set(webhook.id, { tone: 'info', text: 'Testing' });
        const failure = await testEndpoint(webhook, () => stopped.current);
        if (failure) return set(webhook.id, { tone: 'bad', text: 'Still fails', detail: failure });
      }
      await enableWebhook(webhook.id, note.trim(), redeliver);
      set(webhook.id, { tone: 'good', text: 'Enabled' });
    } catch (error) {
      set(webhook.id, { tone: 'bad', text: 'Not enabled', detail: toProblem(error).detail });
    }
  };

  const run = async () => {
    setStates(new Map());
    const left = [...webhooks];
    const worker = async () => {
      for (let webhook = left.shift(); webhook && !stopped.current; webhook = left.shift()) await enableOne(webhook);
    };
    await Promise.all(Array.from({ length: MAX_CONCURRENT }, worker));
    setOver(true);
    await onDone();
  };
  const submit = (event: Event) => {
    event.preventDefault();
    setMissing(!note.trim());
    if (note.trim()) void run();
  };
  const close = () => {
    stopped.current = true;
    onClose();
  };

  if (!states) {
    return (
      <Dialog title={`Enable ${pluralize(webhooks.length, 'webhook')}`} onClose={onClose}>
        <form onSubmit={submit}>
          <AreaField label="Note" hint="For the audit log, for example the incident that is over." value={note} onChange={setNote} errors={missing ? ['Enter a note.'] : []} />
          <CheckField label="Send each a test event first" hint="Endpoints that still fail stay disabled." checked={test} onChange={setTest} />
          <CheckField label="Redeliver held events" checked={redeliver} onChange={setRedeliver} />
          <div class="buttons">
            <Button type="submit" kind="main">
              Enable {pluralize(webhooks.length, 'webhook')}
            </Button>
            <Button onClick={onClose}>Cancel</Button>
          </div>
        </form>
      </Dialog>
    );
  }
  const ended = [...states.values()].filter(({ tone }) => tone === 'good' || tone === 'bad');
  const enabled = ended.filter(({ tone }) => tone === 'good').length;
  return (
    <Dialog title={`Enable ${pluralize(webhooks.length, 'webhook')}`} onClose={close}>
      <div>
        <p aria-live="polite">
          {over ? `Done: ${enabled} of ${pluralize(webhooks.length, 'webhook')} enabled.` : `${ended.length} of ${webhooks.length} done…`}
        </p>
        <Progress label="Webhooks done" done={ended.length} of={webhooks.length} />
        <ul class="bulk">
          {webhooks.map((webhook) => {
            const { tone, text, detail } = states.get(webhook.id) ?? WAITING;
            return (
              <li key={webhook.id}>
                <span>
                  <strong>{webhookName(webhook)}</strong> <span class="muted">{webhook.brandId}</span>
                  {detail && <span class="error-text small">{detail}</span>}
                </span>
                <Badge tone={tone}>{text}</Badge>
              </li>
            );
          })}
        </ul>
        <div class="buttons">
          <Button kind={over ? 'main' : 'plain'} onClick={close}>
            {over ? 'Close' : 'Stop'}
          </Button>
        </div>
      </div>
    </Dialog>
  );
}

/** Returns why the endpoint still fails, or null if it answered with a 2xx status. */
async function testEndpoint(webhook: Webhook, isStopped: () => boolean): Promise<string | null> {
  const { eventId } = await sendTestAsSupport(webhook.id, null);
  const ref = { brand: webhook.brandId, webhook: webhook.id };
  for (const begun = Date.now(); Date.now() - begun < TEST_TIMEOUT_MS; ) {
    await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL_MS));
    if (isStopped()) return 'Stopped before the test ended';
    // The router may not have stored the event yet.
    const attempt = (await listAttempts(ref, eventId).catch(() => null))?.items[0];
    if (attempt) return attempt.outcome === 'delivered' ? null : (attempt.error ?? `The endpoint responded with ${attempt.statusCode}`);
  }
  return 'The test event was not attempted in time';
}
