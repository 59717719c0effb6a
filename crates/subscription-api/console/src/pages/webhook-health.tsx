// The failures that count towards disabling a webhook, beside the limits of the rule.

import type { Health, Webhook } from '../api/types';
import { readHealth, type WebhookRef } from '../api/webhooks';
import { exactCount, share, span } from '../lib/format';
import { useResource } from '../lib/use-resource';
import { Card, ProblemNote, Loading } from '../ui/basics';

const POLL_INTERVAL_MS = 10_000;

export function HealthCard({ webhookRef, webhook }: { webhookRef: WebhookRef; webhook: Webhook }) {
  const { data, problem, reload } = useResource(
    (signal) => readHealth(webhookRef, signal),
    [webhookRef.brand, webhookRef.webhook, webhook.status],
    { every: POLL_INTERVAL_MS },
  );
  return (
    <Card title="Health">
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading />}
      {data && webhook.status !== 'active' && <p>Failures are counted only while the webhook is active, and start from zero when it is enabled.</p>}
      {data && webhook.status === 'active' && <Meters health={data} />}
    </Card>
  );
}

function Meters({ health }: { health: Health }) {
  const { attempts, failures, failedInRow, firstFailure, lastFailure, rule, windowSeconds } = health;
  const apart = firstFailure && lastFailure ? (Date.parse(lastFailure) - Date.parse(firstFailure)) / 1000 : 0;
  const rate = attempts > 0 ? failures / attempts : 0;
  const failing = attempts >= rule.minAttempts && rate >= rule.failureRate && apart >= rule.spanSeconds;
  return (
    <>
      <p class="muted">
        The platform disables a webhook when the first three values all reach their limit, when the last one does, or when
        the endpoint responds with 410. Values are counted in fixed time slices since the webhook was created or enabled.
      </p>
      <div class="meters">
        <Meter label={`Attempts, last ${span(windowSeconds)}`} alarm={failing} value={attempts} limit={rule.minAttempts} shown={exactCount(attempts)} at={`${exactCount(rule.minAttempts)}`} />
        <Meter label="Failure rate" alarm={failing} value={rate} limit={rule.failureRate} shown={`${share(failures, attempts)} (${exactCount(failures)})`} at={share(rule.failureRate, 1)} />
        <Meter label="First to last failure" alarm={failing} value={apart} limit={rule.spanSeconds} shown={span(apart)} at={span(rule.spanSeconds)} />
        <Meter label="Deliveries failed in a row" alarm={failedInRow >= rule.failedDeliveries} value={failedInRow} limit={rule.failedDeliveries} shown={exactCount(failedInRow)} at={exactCount(rule.failedDeliveries)} />
      </div>
    </>
  );
}

interface MeterProps {
  label: string;
  value: number;
  limit: number;
  shown: string;
  at: string;
  alarm: boolean;
}

function Meter({ label, value, limit, shown, at, alarm }: MeterProps) {
  return (
    <div class={`meter ${alarm ? 'reached' : ''}`}>
      <p>
        <span>{label}</span>
        <span>
          <strong>{shown}</strong> <span class="muted">of {at}</span>
        </span>
      </p>
      <progress max={limit} value={Math.min(value, limit)} aria-label={`${label}: ${shown}, limit ${at}`} />
    </div>
  );
}
