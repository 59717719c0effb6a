// The secret that signs requests: shown on demand, hidden again after a while, rotated with an overlap.

import { useEffect, useState } from 'preact/hooks';
import type { RotatedSecret, Secret } from '../api/types';
import { readSecret, rotateSecret, type WebhookRef } from '../api/webhooks';
import { announce } from '../ui/announce';
import { Button, Card, Copy, Note, ProblemNote, Time } from '../ui/basics';
import { Confirm, useRun } from '../ui/dialog';
import { SelectField } from '../ui/fields';
import { mayWrite } from '../session';

/** How long a secret stays visible. */
const SECRET_SHOWN_MS = 120_000;

/** The secret of a webhook that was just created, shown once on its page. */
let newSecret: { webhook: string; secret: string } | null = null;

export function showSecret(webhook: string, secret: string): void {
  newSecret = { webhook, secret };
}

function takeNewSecret(webhook: string): string | null {
  const secret = newSecret?.webhook === webhook ? newSecret.secret : null;
  newSecret = null;
  return secret;
}

export function SecretCard({ webhookRef }: { webhookRef: WebhookRef }) {
  const [secret, setSecret] = useState(() => takeNewSecret(webhookRef.webhook));
  const [publicKey, setPublicKey] = useState<string>();
  const [headers, setHeaders] = useState<Record<string, string>>({});
  const [expires, setExpires] = useState<string | null>(null);
  const [asking, setAsking] = useState(false);
  const open = (shown: Secret) => {
    setSecret(shown.secret);
    setPublicKey(shown.publicKey);
    setHeaders(shown.headers ?? {});
  };
  const show = useRun(async () => open(await readSecret(webhookRef)));

  useEffect(() => {
    if (!secret) return;
    const timer = setTimeout(() => setSecret(null), SECRET_SHOWN_MS);
    return () => clearTimeout(timer);
  }, [secret]);

  if (!mayWrite()) {
    return (
      <Card title="Signing secret">
        <p class="muted">Only a token with the role write can show the secret. Your token is read-only.</p>
      </Card>
    );
  }
  return (
    <Card title="Signing secret">
      <p class="muted">
        This secret signs all requests, according to Standard Webhooks 1.0. Verify <code>webhook-signature</code> with a
        published library.
      </p>
      <div class="secret">
        <code class={secret ? 'open' : ''}>{secret ?? 'whsec_••••••••••••••••••••'}</code>
        <div class="buttons">
          {secret ? (
            <>
              <Copy text={secret} what="Secret" />
              <Button onClick={() => setSecret(null)}>Hide</Button>
            </>
          ) : (
            <Button onClick={show.go} busy={show.busy}>
              Show secret
            </Button>
          )}
          <Button onClick={() => setAsking(true)}>Rotate…</Button>
        </div>
      </div>
      {secret && publicKey && (
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
      )}
      {secret && Object.keys(headers).length > 0 && (
        <>
          <p class="muted">Custom headers of every request:</p>
          <ul>
            {Object.entries(headers).map(([name, value]) => (
              <li key={name}>
                <code>{`${name}: ${value}`}</code>
              </li>
            ))}
          </ul>
        </>
      )}
      {expires && (
        <Note>
          The previous secret also signs until <Time at={expires} />.
        </Note>
      )}
      <ProblemNote problem={show.problem} />
      {asking && (
        <Rotation
          webhookRef={webhookRef}
          onClose={() => setAsking(false)}
          onDone={(rotated) => {
            open(rotated);
            setExpires(rotated.previousExpires);
          }}
        />
      )}
    </Card>
  );
}

const OVERLAPS = [
  ['86400', '24 hours'],
  ['3600', '1 hour'],
  ['604800', '7 days'],
  ['0', 'None: the previous secret stops now'],
] as const;

function Rotation({ webhookRef, onClose, onDone }: {
  webhookRef: WebhookRef;
  onClose: () => void;
  onDone: (rotated: RotatedSecret) => void;
}) {
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
