// Plots of a webhook's outcomes and latency over the time range of the page.

import { readStats, type WebhookRef } from '../api/webhooks';
import { count, pluralize, millis, share } from '../lib/format';
import { sumBuckets } from '../lib/stats';
import { currentRange, wholeSteps } from '../lib/time-range';
import { useResource } from '../lib/use-resource';
import { Card, Empty, ProblemNote, Stat, Stats, Loading } from '../ui/basics';
import { LatencyPlot, OutcomePlot } from '../ui/plot';
import { RangePicker } from '../ui/range-picker';

const POLL_INTERVAL_MS = 10_000;
const FALLBACK = '24h';

export function StatsCard({ webhookRef }: { webhookRef: WebhookRef }) {
  const range = currentRange(FALLBACK);
  const load = (signal: AbortSignal) => readStats(webhookRef, wholeSteps(currentRange(FALLBACK)), signal);
  const { data, problem, reload } = useResource(load, [webhookRef.brand, webhookRef.webhook, range.key], { every: POLL_INTERVAL_MS });
  const buckets = data?.items ?? [];
  const attempts = sumBuckets(buckets);
  const events = buckets.reduce((sum, { events }) => ({ delivered: sum.delivered + (events?.delivered ?? 0), failed: sum.failed + (events?.failed ?? 0) }), { delivered: 0, failed: 0 });
  const ended = events.delivered + events.failed;
  const worst = Math.max(0, ...buckets.map((item) => item.latencyMs.p99 ?? 0));
  return (
    <Card title="Outcomes and latency" actions={<RangePicker fallback={FALLBACK} />}>
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading lines={8} />}
      {data && attempts.attempts === 0 && <Empty title="No attempts in this range." />}
      {data && attempts.attempts > 0 && (
        <>
          <Stats>
            <Stat label="Events delivered" hint={ended > 0 ? `of ${pluralize(ended, 'event')} that ended` : undefined}>
              {ended > 0 ? share(events.delivered, ended) : '–'}
            </Stat>
            <Stat label="Failed events" tone={events.failed > 0 ? 'warn' : undefined}>
              {count(events.failed)}
            </Stat>
            <Stat label="Attempts" hint={`${share(attempts.delivered, attempts.attempts)} succeeded`}>
              {count(attempts.attempts)}
            </Stat>
            <Stat label="Highest p99">{worst > 0 ? millis(worst) : '–'}</Stat>
          </Stats>
          <OutcomePlot buckets={data.items} stepSeconds={data.stepSeconds} select />
          <LatencyPlot buckets={data.items} stepSeconds={data.stepSeconds} select />
          <p class="muted small">Drag over a chart to select a range. The tab Deliveries shows the events of the same range.</p>
        </>
      )}
    </Card>
  );
}
