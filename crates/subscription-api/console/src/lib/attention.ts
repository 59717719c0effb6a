// What the overview lists under "Needs attention".

import type { Attention, Overview } from '../api/types';

/**
 * The webhooks that fail or will soon be disabled, the worst first, and then those that are disabled. The API lists the
 * two apart; one of the previous version knows only the disabled ones.
 */
export function attentionOf({ attention = [], disabled }: Pick<Overview, 'attention' | 'disabled'>): Attention[] {
  const listed = new Set(attention.map(({ webhook }) => webhook.id));
  const others = disabled.filter(({ id }) => !listed.has(id));
  return [...attention, ...others.map(toAttention)];
}

const toAttention = (webhook: Overview['disabled'][number]): Attention => ({
  webhook,
  brand: { brandId: webhook.brandId, name: webhook.brandId, contact: null },
  waiting: { deliveries: 0, oldest: null },
});
