// One line about the health of a webhook. The figures of the rule that disables it are behind it.

import { useState } from 'preact/hooks';
import type { Health, Webhook } from '../api/types';
import { readHealth, type WebhookRef } from '../api/webhooks';
import { now } from '../lib/clock';
import { exactCount, pluralize, share, span } from '../lib/format';
import { healthLine, healthWords } from '../lib/health';
import { useResource } from '../lib/use-resource';
import { isSupport } from '../session';
import { ProblemNote, Loading } from '../ui/basics';
import { HealthBadge } from '../ui/health';
import { Icon } from '../ui/icon';

const POLL_INTERVAL_MS = 10_000;

export function HealthLine({ webhookRef, webhook }: { webhookRef: WebhookRef; webhook: Webhook }) {
  const [open, setOpen] = useState(false);
  const { tone } = healthWords(webhook);
  return (
    <section class={`health ${tone}`} aria-label="Health">
      <div class="health-line">
        <HealthBadge webhook={webhook} />
        <p>{healthLine(webhook, now.value)}</p>
        <button type="button" class="button quiet" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? 'Hide details' : 'Details'}
        </button>
      </div>
      {open && (
        <div class="health-details">
          {webhook.disabled && <Disabled webhook={webhook} />}
          {webhook.status === 'active' ? (
            <Rule webhookRef={webhookRef} webhook={webhook} />
          ) : (
            <p class="muted">Failures are counted only while the webhook is active, and start from zero when it is enabled.</p>
          )}
        </div>
      )}
    </section>
  );
}

const Disabled = ({ webhook: { disabled } }: { webhook: Webhook }) => (
  <>
    {disabled?.detail && (
      <p>
        <bdi>{disabled.detail}</bdi>
      </p>
    )}
    <p>
      {isSupport()
        ? 'Send a test event once the endpoint is fixed, then enable the webhook. Its held events can be redelivered.'
        : 'New events are held and stay readable. Fix the endpoint, then ask support to enable the webhook.'}
    </p>
  </>
);

function Rule({ webhookRef, webhook }: { webhookRef: WebhookRef; webhook: Webhook }) {
  const { data, problem, reload } = useResource(
    (signal) => readHealth(webhookRef, signal),
    [webhookRef.brand, webhookRef.webhook, webhook.status],
    { every: POLL_INTERVAL_MS },
  );
  return (
    <>
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading />}
      {data && <Conditions health={data} />}
    </>
  );
}

function Conditions({ health }: { health: Health }) {
  const { attempts, failures, failedInRow, firstFailure, lastFailure, rule, windowSeconds } = health;
  const apart = firstFailure && lastFailure ? (Date.parse(lastFailure) - Date.parse(firstFailure)) / 1000 : 0;
  const rate = attempts > 0 ? failures / attempts : 0;
  return (
    <>
      <p>Postrider disables the webhook when the first three conditions hold together, or the fourth, or when the endpoint responds with 410.</p>
      <ul class="conditions">
        <Condition met={rate >= rule.failureRate && attempts > 0} label={`${share(failures, attempts)} of the attempts of the last ${span(windowSeconds)} failed`} limit={`at least ${share(rule.failureRate, 1)}`} />
        <Condition met={attempts >= rule.minAttempts} label={`${pluralize(attempts, 'attempt')} ended in that time`} limit={`at least ${exactCount(rule.minAttempts)}`} />
        <Condition met={apart >= rule.spanSeconds} label={`${apart > 0 ? span(apart) : 'No time'} lies between the first and the last failure`} limit={`at least ${span(rule.spanSeconds)}`} />
        <Condition met={failedInRow >= rule.failedDeliveries} label={`${pluralize(failedInRow, 'delivery', 'deliveries')} failed in a row`} limit={`at least ${exactCount(rule.failedDeliveries)}`} />
      </ul>
      <p class="muted small">The figures are counted in fixed time slices since the webhook was created or enabled.</p>
    </>
  );
}

const Condition = ({ met, label, limit }: { met: boolean; label: string; limit: string }) => (
  <li class={met ? 'met' : undefined}>
    <span class="condition-mark">{met ? <Icon name="check" /> : null}</span>
    <span>
      {label} <span class="muted">({limit})</span>
      <span class="hidden">{met ? ': holds' : ': does not hold'}</span>
    </span>
  </li>
);
