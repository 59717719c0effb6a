// The webhooks of all brands, for support, with the actions on several of them after an incident.

import { useState } from 'preact/hooks';
import { listAllWebhooks } from '../api/support';
import type { Webhook } from '../api/types';
import { WEBHOOK_CSV } from '../lib/csv-columns';
import { pluralize } from '../lib/format';
import { useKept } from '../lib/places';
import { usePages } from '../lib/use-pages';
import { setQuery, where } from '../router';
import { BrandField } from '../ui/brand-field';
import { Button, Empty } from '../ui/basics';
import { ExportCsv } from '../ui/export-csv';
import { PagedList } from '../ui/pages';
import { Heading } from '../ui/shell';
import { BulkEnable } from './bulk-enable';
import { WebhookFilters, webhookQuery } from './webhook-filters';
import { WebhookList } from './webhook-list';

const PAGE = 100;

export function AllWebhooks() {
  const query = where.value.query;
  const filter = { ...webhookQuery(query), brandId: query.get('brand') ?? '' };
  const key = Object.values(filter);
  const read = (cursor: string | null, limit: number, signal?: AbortSignal) => listAllWebhooks(cursor ? { ...filter, limit, cursor } : { ...filter, limit }, signal);
  const pages = usePages((cursor, signal) => read(cursor, PAGE, signal), key);
  const [chosen, setChosen] = useKept<ReadonlySet<string>>('webhooks chosen', new Set());
  const [asking, setAsking] = useState<readonly Webhook[] | null>(null);
  const disabled = pages.items.filter(({ status }) => status === 'disabled');
  const selecting = filter.status === 'disabled' || filter.health === 'disabled';
  const picked = disabled.filter(({ id }) => chosen.has(id));
  const tick = (ids: readonly string[], on: boolean) =>
    setChosen((old) => {
      const now = new Set(old);
      for (const id of ids) on ? now.add(id) : now.delete(id);
      return now;
    });
  return (
    <>
      <Heading title="Webhooks" actions={<ExportCsv file="webhooks" columns={WEBHOOK_CSV} read={read} />} />
      <WebhookFilters>
        <BrandField value={filter.brandId} onChange={(brand) => setQuery({ brand })} />
      </WebhookFilters>
      <PagedList
        pages={pages}
        empty={<Empty title={selecting ? 'No webhooks are disabled.' : 'No webhooks match these filters.'} />}
      >
        {(webhooks) => (
          <>
            <div class="list-head">
              <p class="muted">
                {pluralize(webhooks.length, 'webhook')}
                {pages.more ? ' loaded; there are more.' : '.'}
              </p>
              {selecting && disabled.length > 0 && (
                <div class="buttons">
                  <Button onClick={() => tick(disabled.map(({ id }) => id), picked.length < disabled.length)}>{picked.length < disabled.length ? 'Select all' : 'Select none'}</Button>
                  <Button kind="main" disabled={picked.length === 0} onClick={() => setAsking(picked)}>
                    {picked.length === 0 ? 'Enable selected…' : `Enable ${pluralize(picked.length, 'webhook')}…`}
                  </Button>
                </div>
              )}
            </div>
            <WebhookList webhooks={webhooks} brands sortable={!pages.more} chosen={selecting ? chosen : null} tick={tick} />
          </>
        )}
      </PagedList>
      {asking && <BulkEnable webhooks={asking} onClose={() => setAsking(null)} onDone={() => (setChosen(new Set()), pages.reload())} />}
    </>
  );
}
