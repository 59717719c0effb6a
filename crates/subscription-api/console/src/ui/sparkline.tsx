// Attempts of a day, one bar per hour: delivered attempts below, failed ones on top.

import type { StatsBucket } from '../api/types';
import { pluralize } from '../lib/format';
import { failures, sumBuckets } from '../lib/stats';

const WIDTH = 120;
const HEIGHT = 28;

export function Sparkline({ buckets }: { buckets: readonly StatsBucket[] }) {
  const all = sumBuckets(buckets);
  const most = Math.max(1, ...buckets.map((bucket) => (bucket.outcomes.delivered ?? 0) + failures(bucket)));
  const width = WIDTH / Math.max(buckets.length, 1);
  const tall = (n: number) => (n === 0 ? 0 : Math.max(1.5, (n / most) * HEIGHT));
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`Last 24 hours: ${pluralize(all.attempts, 'attempt')}, ${all.failed} failed`}>
      <line x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} class="spark-base" />
      {buckets.map((bucket, n) => {
        const delivered = tall(bucket.outcomes.delivered ?? 0);
        const failed = tall(failures(bucket));
        return (
          <g key={bucket.at}>
            <rect x={n * width} y={HEIGHT - delivered} width={Math.max(width - 1, 0.5)} height={delivered} class="spark-delivered" />
            <rect x={n * width} y={Math.max(0, HEIGHT - delivered - failed)} width={Math.max(width - 1, 0.5)} height={failed} class="spark-failed" />
          </g>
        );
      })}
    </svg>
  );
}
