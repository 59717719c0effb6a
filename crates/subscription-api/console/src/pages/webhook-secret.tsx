// The secret that signs requests: shown on demand, hidden again after a while, rotated with an overlap whose end shows.

import { useEffect, useState } from 'preact/hooks';
import { listAudit } from '../api/audit';
import { endPreviousSecret, readSecret, rotateSecret } from '../api/secret';
import type { AuditEntry, Page, Secret } from '../api/types';
import type { WebhookRef } from '../api/webhooks';
import { now } from '../lib/clock';
import { rotationOf, type Rotation } from '../lib/rotation';
import { useResource } from '../lib/use-resource';
import { isSupport, mayWrite } from '../session';
import { announce } from '../ui/announce';
import { Button, Card, Copy, ProblemNote, Time } from '../ui/basics';
import { Confirm, useRun } from '../ui/dialog';
import { SelectField } from '../ui/fields';

/** How long a secret stays visible. */
const SECRET_SHOWN_MS = 120_000;

/** Maximum number of pages of the audit log that are searched for the last rotation; a filtered page may be short. */
const MAX_AUDIT_PAGES = 4;

/** The secret of a webhook that was just created, for the page that follows. */
let newSecret: { webhook: string; secret: string } | null = null;

export function showSecret(webhook: string, secret: string): void {
  newSecret = { webhook, secret };
}

export function takeNewSecret(webhook: string): string | null {
  const secret = newSecret?.webhook === webhook ? newSecret.secret : null;
  newSecret = null;
  return secret;
}

/**
 * Reads from the audit log when the secret was rotated, because reading the secret itself would decrypt it and be an
 * entry of the log.
 */
async function findRotation({ brand, webhook }: WebhookRef, signal: AbortSignal): Promise<Rotation> {
  const scope = isSupport() ? null : brand;
  const query = { subject: webhook, limit: 50, ...(isSupport() ? { brandId: brand } : {}) };
  const entries: AuditEntry[] = [];
  let cursor: string | null = null;
  for (let page = 0; page < MAX_AUDIT_PAGES; page += 1) {
    const read: Page<AuditEntry> = await listAudit(scope, { ...query, cursor }, signal);
    entries.push(...read.items);
    cursor = read.nextCursor;
    if (cursor === null || rotationOf(entries).rotated !== null) break;
  }
  return rotationOf(entries);
}

export function SecretCard({ webhookRef }: { webhookRef: WebhookRef }) {
  const [shown, setShown] = useState<Secret | null>(null);
  const [known, setKnown] = useState<Rotation | null>(null);
  const [asking, setAsking] = useState<'rotate' | 'end' | null>(null);
  const found = useResource((signal) => findRotation(webhookRef, signal), [webhookRef.brand, webhookRef.webhook]);
  const open = (secret: Secret) => {
    setShown({ ...(shown?.headers ? { headers: shown.headers } : {}), ...secret });
    if (secret.previousExpires !== undefined) setKnown({ rotated: secret.rotated ?? null, previousExpires: secret.previousExpires });
  };
  const show = useRun(async () => open(await readSecret(webhookRef)));
  const rotation = known ?? found.data;

  useEffect(() => {
    if (!shown) return;
    const timer = setTimeout(() => setShown(null), SECRET_SHOWN_MS);
    return () => clearTimeout(timer);
  }, [shown]);

  if (!mayWrite()) {
    return (
      <Card title="Signing secret">
        <p class="muted">Only a token with the role write can show the secret. Your token is read-only.</p>
      </Card>
    );
  }
  return (
    <Card title="Signing secret" actions={<Button onClick={() => setAsking('rotate')}>Rotate…</Button>}>
      <p class="muted">
        It signs all requests, according to Standard Webhooks 1.0. Verify <code>webhook-signature</code> with a{' '}
        <a href="/docs">published library</a>.
      </p>
      <div class="secret">
        <code class={shown ? 'open' : ''}>{shown?.secret ?? 'whsec_••••••••••••••••••••'}</code>
        <div class="buttons">
          {shown ? (
            <>
              <Copy text={shown.secret} what="Secret" />
              <Button onClick={() => setShown(null)}>Hide</Button>
            </>
          ) : (
            <Button onClick={show.go} busy={show.busy}>
              Show secret
            </Button>
          )}
        </div>
      </div>
      {shown?.publicKey && <PublicKey publicKey={shown.publicKey} />}
      {shown?.headers && <CustomHeaders headers={shown.headers} />}
      {rotation && <Overlap rotation={rotation} end={() => setAsking('end')} />}
      <ProblemNote problem={show.problem} />
      {asking === 'rotate' && <RotateDialog webhookRef={webhookRef} onClose={() => setAsking(null)} onDone={(rotated) => open({ rotated: new Date().toISOString(), ...rotated })} />}
      {asking === 'end' && (
        <EndDialog
          webhookRef={webhookRef}
          onClose={() => setAsking(null)}
          onDone={() => setKnown({ rotated: rotation?.rotated ?? null, previousExpires: null })}
        />
      )}
    </Card>
  );
}

/** Says whether the previous secret still signs, and until when. */
function Overlap({ rotation: { rotated, previousExpires }, end }: { rotation: Rotation; end: () => void }) {
  const overlaps = previousExpires !== null && Date.parse(previousExpires) > now.value;
  return (
    <>
      {overlaps && (
        <div class="note info">
          <p>
            The previous secret also signs until <Time at={previousExpires} /> (<Time at={previousExpires} relative />).
          </p>
          <Button onClick={end}>End now…</Button>
        </div>
      )}
      {rotated && (
        <p class="muted small">
          Last rotated <Time at={rotated} relative />.
        </p>
      )}
    </>
  );
}

const PublicKey = ({ publicKey }: { publicKey: string }) => (
  <>
    <p class="muted">
      Verify <code>v1a</code> signatures with this public key:
    </p>
    <div class="secret">
      <code class="open">{publicKey}</code>
      <div class="buttons">
        <Copy text={publicKey} what="Public key" />
      </div>
    </div>
  </>
);

function CustomHeaders({ headers }: { headers: Record<string, string> }) {
  const all = Object.entries(headers);
  if (all.length === 0) return null;
  return (
    <>
      <p class="muted">Custom headers of every request:</p>
      <ul>
        {all.map(([name, value]) => (
          <li key={name}>
            <code>{`${name}: ${value}`}</code>
          </li>
        ))}
      </ul>
    </>
  );
}

const OVERLAPS = [
  ['86400', '24 hours'],
  ['3600', '1 hour'],
  ['604800', '7 days'],
  ['0', 'None: the previous secret stops now'],
] as const;

function RotateDialog({ webhookRef, onClose, onDone }: { webhookRef: WebhookRef; onClose: () => void; onDone: (rotated: Secret) => void }) {
  const [overlap, setOverlap] = useState('86400');
  const run = async () => {
    onDone(await rotateSecret(webhookRef, Number(overlap)));
    announce('The secret is rotated. The new secret is shown.');
  };
  return (
    <Confirm title="Rotate the secret" action="Rotate" danger={overlap === '0'} run={run} onClose={onClose}>
      <p>This creates a new secret. During the overlap, both secrets sign every request, so that you can switch without losing requests.</p>
      <SelectField label="Overlap" value={overlap} options={OVERLAPS} onChange={setOverlap} />
    </Confirm>
  );
}

function EndDialog({ webhookRef, onClose, onDone }: { webhookRef: WebhookRef; onClose: () => void; onDone: () => void }) {
  const run = async () => {
    await endPreviousSecret(webhookRef);
    announce('The previous secret no longer signs.');
    onDone();
  };
  return (
    <Confirm title="End the overlap now" action="End the overlap" run={run} onClose={onClose}>
      <p>From now on only the new secret signs. A receiver that still verifies with the previous secret refuses all requests.</p>
    </Confirm>
  );
}
