// Attempts of a day, one bar an hour: what was delivered, and on top what failed.

import type { StatsStep } from '../api/types';
import { many } from '../lib/format';
import { failures, sums } from '../lib/stats';

const WIDTH = 120;
const HEIGHT = 28;

export function Sparkline({ steps }: { steps: readonly StatsStep[] }) {
  const all = sums(steps);
  const most = Math.max(1, ...steps.map((step) => (step.outcomes.delivered ?? 0) + failures(step)));
  const width = WIDTH / Math.max(steps.length, 1);
  const tall = (n: number) => (n === 0 ? 0 : Math.max(1.5, (n / most) * HEIGHT));
  return (
    <svg class="sparkline" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`Last 24 hours: ${many(all.attempts, 'attempt')}, ${all.failed} failed`}>
      <line x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} class="spark-base" />
      {steps.map((step, n) => {
        const delivered = tall(step.outcomes.delivered ?? 0);
        const failed = tall(failures(step));
        return (
          <g key={step.at}>
            <rect x={n * width} y={HEIGHT - delivered} width={Math.max(width - 1, 0.5)} height={delivered} class="spark-delivered" />
            <rect x={n * width} y={Math.max(0, HEIGHT - delivered - failed)} width={Math.max(width - 1, 0.5)} height={failed} class="spark-failed" />
          </g>
        );
      })}
    </svg>
  );
}
