// The basic components of every page.

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { Problem } from '../api/problem';
import type { DeliveryStatus, Webhook, WebhookStatus } from '../api/types';
import { now } from '../lib/clock';
import { ago, localTime, plainTime, humanize } from '../lib/format';
import { showControls } from '../lib/show-controls';
import { announce } from './announce';
import { Icon } from './icon';

/**
 * Shows a time in the zone of the switch. On hover or a tap, `TimeCard` shows it in both zones and as RFC 3339 to copy.
 * `bare` leaves the name of the zone out, for columns whose head has it.
 */
export function Time({ at, relative = false, bare = false }: { at: string | null; relative?: boolean; bare?: boolean }) {
  if (!at) return <span class="muted">–</span>;
  const text = relative ? ago(at, now.value) : bare ? plainTime(at) : localTime(at);
  return <time dateTime={at}>{text}</time>;
}

export type Tone = 'good' | 'bad' | 'warn' | 'idle' | 'info';

/** A word with a shape and a colour, so that neither carries the meaning alone. */
export function Badge({ tone, children }: { tone: Tone; children: ComponentChildren }) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

const WEBHOOK_TONES: Record<WebhookStatus, Tone> = { active: 'good', paused: 'idle', disabled: 'bad' };

export const WebhookBadge = ({ webhook }: { webhook: Webhook }) => (
  <Badge tone={WEBHOOK_TONES[webhook.status]}>{humanize(webhook.status)}</Badge>
);

const DELIVERY_TONES: Record<DeliveryStatus, Tone> = {
  pending: 'info',
  delivered: 'good',
  failed: 'bad',
  held: 'warn',
  discarded: 'idle',
};

export const DeliveryBadge = ({ status }: { status: DeliveryStatus }) => (
  <Badge tone={DELIVERY_TONES[status]}>{humanize(status)}</Badge>
);

interface ButtonProps {
  children: ComponentChildren;
  onClick?: (() => void) | undefined;
  kind?: 'plain' | 'main' | 'danger' | 'quiet';
  type?: 'button' | 'submit';
  busy?: boolean;
  disabled?: boolean;
  label?: string;
}

export function Button({ children, onClick, kind = 'plain', type = 'button', busy, disabled, label }: ButtonProps) {
  return (
    <button
      type={type}
      class={`button ${kind}`}
      onClick={onClick}
      disabled={disabled || busy}
      aria-busy={busy ? 'true' : undefined}
      aria-label={label}
    >
      {children}
    </button>
  );
}

/** Copies a text and announces it. */
export async function copyText(text: string, what: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    announce(`${what} copied.`);
    return true;
  } catch {
    announce('The browser did not allow copying. Select the text and copy it yourself.');
    return false;
  }
}

/** A button that copies a text and announces it. `small` shows an icon, for use within a line. */
export function Copy({ text, what, small = false }: { text: string; what: string; small?: boolean }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    if (!(await copyText(text, what))) return;
    setDone(true);
    setTimeout(() => setDone(false), 2000);
  };
  if (small) {
    return (
      <button type="button" class="icon-button" onClick={copy} aria-label={`Copy ${what}`} title={`Copy ${what}`}>
        <Icon name={done ? 'check' : 'copy'} />
      </button>
    );
  }
  return (
    <Button onClick={copy} label={`Copy ${what}`}>
      {done ? 'Copied' : 'Copy'}
    </Button>
  );
}

/** An identifier with a button to copy it. `short` shows its end only, because ULIDs of one hour begin alike. */
export const Id = ({ id, what = 'id', short = false }: { id: string; what?: string; short?: boolean }) => (
  <span class="id">
    <code title={short ? id : undefined}>{short && id.length > 12 ? `…${id.slice(-8)}` : id}</code>
    <Copy text={id} what={what} small />
  </span>
);

/** Shows a problem, advice, and a button to try again. */
export function ProblemNote({ problem, retry }: { problem: Problem | null; retry?: () => void }) {
  if (!problem) return null;
  return (
    <div class="note bad" role="alert">
      <p>
        <strong>{capital(problem.detail)}</strong>
        {problem.advice && <> {problem.advice}</>}
      </p>
      {retry && <Button onClick={retry}>Try again</Button>}
    </div>
  );
}

const capital = (text: string) => {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
};

export function Note({ tone = 'info', children }: { tone?: Tone; children: ComponentChildren }) {
  return <div class={`note ${tone}`}>{children}</div>;
}

/** A placeholder until the first response arrives. */
export const Loading = ({ lines = 3 }: { lines?: number }) => (
  <div class="waiting" aria-busy="true">
    <span class="hidden">Loading…</span>
    {Array.from({ length: lines }, (_, n) => (
      <div key={n} class="bar" />
    ))}
  </div>
);

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  );
}

export function Stat({ label, children, tone, hint }: {
  label: string;
  children: ComponentChildren;
  tone?: Tone | undefined;
  hint?: ComponentChildren;
}) {
  return (
    <div class={`stat ${tone ?? ''}`}>
      <dt>{label}</dt>
      <dd>
        <span class="figure">{children}</span>
        {hint && <span class="hint">{hint}</span>}
      </dd>
    </div>
  );
}

export const Stats = ({ children }: { children: ComponentChildren }) => <dl class="stats">{children}</dl>;

export function Card({ title, actions, children, id }: {
  title?: string;
  actions?: ComponentChildren;
  children: ComponentChildren;
  id?: string;
}) {
  return (
    <section class="card" id={id} aria-label={title}>
      {title && (
        <header>
          <h2>{title}</h2>
          {actions && <div class="actions">{actions}</div>}
        </header>
      )}
      {children}
    </section>
  );
}

/** Code that scrolls sideways if it is too wide, with the keyboard as well. Characters that hide text are shown. */
export const Code = ({ children, label }: { children: string; label: string }) => (
  <pre class="code" tabIndex={0} role="region" aria-label={label}>
    <code>{showControls(children)}</code>
  </pre>
);

/** Code with a button to copy it. */
export function Snippet({ label, children }: { label: string; children: string }) {
  return (
    <div class="snippet">
      <div class="snippet-head">
        <span>{label}</span>
        <Copy text={children} what={label} />
      </div>
      <Code label={label}>{children}</Code>
    </div>
  );
}

export function Facts({ children }: { children: ComponentChildren }) {
  return <dl class="facts">{children}</dl>;
}

export function Fact({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

export const Progress = ({ label, done, of }: { label: string; done: number; of: number }) => (
  <div class="progress">
    <progress max={Math.max(of, 1)} value={done} aria-label={label} />
  </div>
);
