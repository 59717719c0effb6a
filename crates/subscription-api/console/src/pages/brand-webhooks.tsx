import { listWebhooks } from '../api/webhooks';
import { usePages } from '../lib/use-pages';
import { Link, to, type PageProps } from '../router';
import { isSupport, mayWrite } from '../session';
import { BrandTabs, Heading } from '../ui/shell';
import { PagedList } from '../ui/pages';
import { FirstSteps } from './first-steps';
import { WebhookList } from './webhook-list';

const PAGE = 50;

export function BrandWebhooks({ params: { brand = '' } }: PageProps) {
  const pages = usePages((cursor, signal) => listWebhooks(brand, { limit: PAGE, cursor }, signal), [brand]);
  const action = mayWrite() && (
    <Link to={to.newWebhook(brand)} class="button main">
      New webhook
    </Link>
  );
  return (
    <>
      <Heading title={isSupport() ? `Webhooks of ${brand}` : 'Webhooks'} up={isSupport() ? [['/brands', 'Brands']] : []} actions={action}>
        <BrandTabs brand={brand} />
      </Heading>
      <PagedList pages={pages} empty={<FirstSteps brand={brand} />}>
        {(webhooks) => <WebhookList webhooks={webhooks} />}
      </PagedList>
    </>
  );
}
