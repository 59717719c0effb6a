import { useMemo, useState } from 'preact/hooks';
import { createBrand, listAllWebhooks, listBrands } from '../api/support';
import type { Brand } from '../api/types';
import { BRAND_CSV } from '../lib/csv-columns';
import { count, pluralize } from '../lib/format';
import { useResource } from '../lib/use-resource';
import { errorsByField } from '../lib/webhook-draft';
import { usePages } from '../lib/use-pages';
import { Link, navigate, setQuery, to, where } from '../router';
import { announce } from '../ui/announce';
import { Badge, Button, Empty, ProblemNote, Time } from '../ui/basics';
import { Dialog, useRun } from '../ui/dialog';
import { ExportCsv } from '../ui/export-csv';
import { TextField } from '../ui/fields';
import { PagedList } from '../ui/pages';
import { Heading } from '../ui/shell';
import { Table, type Column } from '../ui/table';
import { FirstSteps } from './first-steps';
import { TypedField } from './webhook-filters';

const PAGE = 100;

export function Brands() {
  const pages = usePages((cursor, signal) => listBrands({ limit: PAGE, cursor }, signal), []);
  const wanted = where.value.query.get('new');
  const q = where.value.query.get('q') ?? '';
  return (
    <>
      <Heading
        title="Brands"
        actions={
          <>
            {pages.items.length > 0 && <ExportCsv file="brands" columns={BRAND_CSV} read={(cursor, limit, signal) => listBrands({ limit, cursor }, signal)} wanted={(brand) => isFound(brand, q)} />}
            <Button kind="main" onClick={() => setQuery({ new: '*' })}>
              New brand
            </Button>
          </>
        }
      />
      {pages.items.length > 0 && (
        <div class="toolbar" role="search" aria-label="Brands">
          <TypedField label="Find" placeholder="Part of the id, name or contact" value={q} name="q" />
        </div>
      )}
      <PagedList pages={pages} empty={<FirstSteps />}>
        {(all) => <BrandTable brands={all.filter((brand) => isFound(brand, q))} of={all.length} more={pages.more} />}
      </PagedList>
      {wanted !== null && <NewBrand brandId={wanted === '*' ? '' : wanted} onClose={() => setQuery({ new: '' })} />}
    </>
  );
}

const isFound = ({ brandId, name, contact }: Brand, q: string): boolean =>
  [brandId, name, contact?.name, contact?.email].some((text) => text?.toLowerCase().includes(q.toLowerCase()));

/** The webhooks of all brands, counted by brand; null while they are read, or if there are too many for one request. */
function useCounts(): ReadonlyMap<string, { all: number; bad: number }> | null {
  const { data } = useResource((signal) => listAllWebhooks({ limit: 1000 }, signal), []);
  return useMemo(() => {
    if (!data || data.nextCursor) return null;
    const counts = new Map<string, { all: number; bad: number }>();
    for (const { brandId, status, health } of data.items) {
      const sum = counts.get(brandId) ?? { all: 0, bad: 0 };
      const bad = status === 'disabled' || health?.state === 'failing';
      counts.set(brandId, { all: sum.all + 1, bad: sum.bad + (bad ? 1 : 0) });
    }
    return counts;
  }, [data]);
}

function BrandTable({ brands, of, more }: { brands: Brand[]; of: number; more: boolean }) {
  const counts = useCounts();
  const countOf = ({ brandId }: Brand) => (counts ? (counts.get(brandId) ?? { all: 0, bad: 0 }) : null);
  const columns: Column<Brand>[] = [
    {
      head: 'Brand',
      names: true,
      sort: ({ name }) => name,
      cell: (brand) => (
        <>
          <Link to={to.brand(brand.brandId)} class="strong">
            {brand.name}
          </Link>
          <code class="block muted small">{brand.brandId}</code>
        </>
      ),
    },
    {
      head: 'Webhooks',
      end: true,
      sort: (brand) => countOf(brand)?.all,
      cell: (brand) => <Link to={to.webhooks(brand.brandId)}>{countOf(brand)?.all ?? 'Show'}</Link>,
    },
    {
      head: 'Trouble',
      sort: (brand) => countOf(brand)?.bad || null,
      cell: (brand) => {
        const bad = countOf(brand)?.bad ?? 0;
        return bad > 0 ? (
          <Link to={`${to.webhooks(brand.brandId)}?order=attention`}>
            <Badge tone="bad">{bad} failing or disabled</Badge>
          </Link>
        ) : null;
      },
    },
    {
      head: 'Contact',
      sort: ({ contact }) => contact?.name,
      cell: ({ contact }) =>
        contact ? (
          <>
            <bdi>{contact.name}</bdi> <a href={`mailto:${contact.email}`} class="small block">{contact.email}</a>
          </>
        ) : (
          <span class="muted">None</span>
        ),
    },
    { head: 'Event types', end: true, sort: ({ eventTypes }) => eventTypes.length, cell: ({ brandId, eventTypes }) => <Link to={to.types(brandId)}>{eventTypes.length}</Link> },
    { head: 'Created', sort: ({ created }) => created, cell: (brand) => <Time at={brand.created} relative /> },
  ];
  return (
    <>
      <p class="muted">
        {brands.length < of ? `${count(brands.length)} of ${pluralize(of, 'brand')}` : pluralize(of, 'brand')}
        {more ? ' loaded; there are more.' : '.'}
      </p>
      {brands.length === 0 ? <Empty title="No brands match." /> : <Table label="Brands" rows={brands} keyOf={(brand) => brand.brandId} columns={columns} {...(more ? {} : { sortBy: 'sort' })} />}
    </>
  );
}

function NewBrand({ brandId: given, onClose }: { brandId: string; onClose: () => void }) {
  const [draft, setDraft] = useState({ brandId: given, name: '', contactName: '', email: '' });
  const set = (change: Partial<typeof draft>) => setDraft({ ...draft, ...change });
  const { busy, problem, go } = useRun(async () => {
    const { brandId, name, contactName, email } = draft;
    const contact = contactName.trim() || email.trim() ? { contact: { name: contactName.trim(), email: email.trim() } } : {};
    const created = await createBrand({ brandId: brandId.trim(), name: name.trim(), ...contact });
    announce(`The brand ${created.brandId} is created. Next, enable its event types.`);
    navigate(to.types(created.brandId));
  });
  const errors = errorsByField(problem?.status === 422 ? problem.fieldErrors : []);
  const contactErrors = (part: string) =>
    (problem?.fieldErrors ?? []).filter(({ pointer }) => pointer === `/contact/${part}`).map(({ detail }) => detail);
  const submit = (event: Event) => {
    event.preventDefault();
    void go();
  };
  return (
    <Dialog title="New brand" onClose={onClose}>
      <form onSubmit={submit}>
        <TextField label="Brand id" mono required hint="1 to 64 characters: A-Z a-z 0-9 _ -. The id cannot be changed later." value={draft.brandId} onChange={(brandId) => set({ brandId })} errors={errors['brandId']} />
        <TextField label="Name" required value={draft.name} onChange={(name) => set({ name })} errors={errors['name']} />
        <TextField label="Contact's name" optional value={draft.contactName} onChange={(contactName) => set({ contactName })} errors={contactErrors('name')} />
        <TextField label="Contact's email address" optional type="email" hint="Notified when a webhook is disabled." value={draft.email} onChange={(email) => set({ email })} errors={contactErrors('email')} />
        {problem?.status !== 422 && <ProblemNote problem={problem} />}
        <div class="buttons">
          <Button type="submit" kind="main" busy={busy}>
            Create the brand
          </Button>
          <Button onClick={onClose}>Cancel</Button>
        </div>
      </form>
    </Dialog>
  );
}
