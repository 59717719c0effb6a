import { listAllWebhooks } from '../api/support';
import { usePages } from '../lib/use-pages';
import { setQuery, where } from '../router';
import { Empty } from '../ui/basics';
import { SelectField, TextField } from '../ui/fields';
import { PagedList } from '../ui/pages';
import { Heading } from '../ui/shell';
import { WebhookList } from './webhook-list';

const PAGE = 50;
const STATUSES = [
  ['', 'Any'],
  ['disabled', 'Disabled'],
  ['active', 'Active'],
  ['paused', 'Paused'],
] as const;
const BRAND_ID = /^[A-Za-z0-9_-]{0,64}$/;

export function AllWebhooks() {
  const status = where.value.query.get('status') ?? '';
  const brand = where.value.query.get('brand') ?? '';
  const brandId = BRAND_ID.test(brand) ? brand : '';
  const pages = usePages(
    (cursor, signal) => listAllWebhooks({ status, brandId, limit: PAGE, cursor }, signal),
    [status, brandId],
  );
  return (
    <>
      <Heading title="Webhooks" />
      <div class="filters" role="search" aria-label="Webhooks">
        <SelectField label="Status" value={status} options={STATUSES} onChange={(value) => setQuery({ status: value })} />
        <TextField
          label="Brand"
          value={brand}
          onChange={(value) => setQuery({ brand: value })}
          hint="The full brand id"
          errors={brandId === brand ? [] : ['A brand id consists of letters, digits, _ and -.']}
        />
      </div>
      <PagedList
        pages={pages}
        empty={<Empty title={status === 'disabled' ? 'No webhooks are disabled.' : 'No webhooks match these filters.'} />}
      >
        {(webhooks) => <WebhookList webhooks={webhooks} brands />}
      </PagedList>
    </>
  );
}
