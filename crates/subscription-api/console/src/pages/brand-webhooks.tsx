import { listWebhooks } from '../api/webhooks';
import { WEBHOOK_CSV } from '../lib/csv-columns';
import { pluralize } from '../lib/format';
import { usePages } from '../lib/use-pages';
import { Link, to, where, type PageProps } from '../router';
import { isSupport, mayWrite } from '../session';
import { Empty } from '../ui/basics';
import { ExportCsv } from '../ui/export-csv';
import { PagedList } from '../ui/pages';
import { BrandTabs, Heading } from '../ui/shell';
import { FirstSteps } from './first-steps';
import { hasWebhookFilter, WebhookFilters, webhookQuery } from './webhook-filters';
import { WebhookList } from './webhook-list';

const PAGE = 100;

export function BrandWebhooks({ params: { brand = '' } }: PageProps) {
  const filter = webhookQuery(where.value.query);
  const read = (cursor: string | null, limit: number, signal?: AbortSignal) => listWebhooks(brand, { ...filter, limit, cursor }, signal);
  const pages = usePages((cursor, signal) => read(cursor, PAGE, signal), [brand, ...Object.values(filter)]);
  const filtered = hasWebhookFilter(filter);
  const none = pages.ready && pages.items.length === 0 && !filtered;
  const action = (
    <>
      {!none && <ExportCsv file={`webhooks-${brand}`} columns={WEBHOOK_CSV} read={read} />}
      {mayWrite() && (
        <Link to={to.newWebhook(brand)} class="button main">
          New webhook
        </Link>
      )}
    </>
  );
  return (
    <>
      <Heading title={isSupport() ? `Webhooks of ${brand}` : 'Webhooks'} up={isSupport() ? [['/brands', 'Brands']] : []} actions={action}>
        <BrandTabs brand={brand} />
      </Heading>
      {!none && <WebhookFilters />}
      <PagedList pages={pages} empty={filtered ? <Empty title="No webhooks match these filters." /> : <FirstSteps brand={brand} />}>
        {(webhooks) => (
          <>
            <p class="muted">
              {pluralize(webhooks.length, 'webhook')}
              {pages.more ? ' loaded; there are more.' : '.'}
            </p>
            <WebhookList webhooks={webhooks} sortable={!pages.more} />
          </>
        )}
      </PagedList>
    </>
  );
}
