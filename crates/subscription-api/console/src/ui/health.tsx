// The health of a webhook in lists and on its page.

import type { Webhook } from '../api/types';
import { now } from '../lib/clock';
import { healthNote, healthWords } from '../lib/health';
import { Badge } from './basics';

export const HealthBadge = ({ webhook }: { webhook: Webhook }) => {
  const { label, tone } = healthWords(webhook);
  return <Badge tone={tone}>{label}</Badge>;
};

/** The badge with what a reader of a list needs to know: since when, or how soon it will be disabled. */
export function HealthCell({ webhook }: { webhook: Webhook }) {
  const note = healthNote(webhook, now.value);
  return (
    <span class="health-cell">
      <HealthBadge webhook={webhook} />
      {note && <span class="muted small">{note}</span>}
    </span>
  );
}
