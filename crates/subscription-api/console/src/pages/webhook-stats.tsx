// Plots of a webhook's outcomes and latency over a period that the reader selects.

import { useState } from 'preact/hooks';
import { readStats, type WebhookRef } from '../api/webhooks';
import { count, pluralize, millis, share } from '../lib/format';
import { sumBuckets } from '../lib/stats';
import { useResource } from '../lib/use-resource';
import { Card, ProblemNote, Stat, Stats, Loading } from '../ui/basics';
import { SelectField } from '../ui/fields';
import { LatencyPlot, OutcomePlot } from '../ui/plot';

const POLL_INTERVAL_MS = 10_000;

const SPANS = {
  hour: { text: 'Last hour', seconds: 3600, step: 60 },
  day: { text: 'Last 24 hours', seconds: 86_400, step: 1800 },
  week: { text: 'Last 7 days', seconds: 7 * 86_400, step: 3 * 3600 },
} as const;
type SpanName = keyof typeof SPANS;

export function StatsCard({ webhookRef }: { webhookRef: WebhookRef }) {
  const [name, setName] = useState<SpanName>('hour');
  const { seconds, step } = SPANS[name];
  const load = (signal: AbortSignal) => {
    // The range consists of whole buckets, so that a refresh changes only the last bar.
    const to = Math.ceil(Date.now() / 1000 / step) * step;
    const iso = (at: number) => new Date(at * 1000).toISOString();
    return readStats(webhookRef, { from: iso(to - seconds), to: iso(to), step: `${step}s` }, signal);
  };
  const { data, problem, reload } = useResource(load, [webhookRef.brand, webhookRef.webhook, name], { every: POLL_INTERVAL_MS });
  const all = sumBuckets(data?.items ?? []);
  const worst = Math.max(0, ...(data?.items ?? []).map((item) => item.latencyMs.p99 ?? 0));
  const choice = (
    <SelectField
      label="Period"
      value={name}
      options={Object.entries(SPANS).map(([value, { text }]) => [value, text] as const)}
      onChange={(value) => setName(value as SpanName)}
    />
  );
  return (
    <Card title="Outcomes and latency" actions={choice}>
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading lines={8} />}
      {data && (
        <>
          <Stats>
            <Stat label="Success rate" hint={pluralize(all.attempts, 'attempt')}>
              {share(all.delivered, all.attempts)}
            </Stat>
            <Stat label="Delivered">{count(all.delivered)}</Stat>
            <Stat label="Failed attempts" tone={all.failed > 0 ? 'warn' : undefined}>
              {count(all.failed)}
            </Stat>
            <Stat label="Highest p99">{worst > 0 ? millis(worst) : '–'}</Stat>
          </Stats>
          <div class="columns">
            <OutcomePlot buckets={data.items} stepSeconds={data.stepSeconds} />
            <LatencyPlot buckets={data.items} stepSeconds={data.stepSeconds} />
          </div>
        </>
      )}
    </Card>
  );
}
