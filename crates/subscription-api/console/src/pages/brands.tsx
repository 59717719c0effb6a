import { useState } from 'preact/hooks';
import { createBrand, listBrands } from '../api/support';
import { errorsByField } from '../lib/webhook-draft';
import { usePages } from '../lib/use-pages';
import { Link, navigate, setQuery, to, where } from '../router';
import { announce } from '../ui/announce';
import { Button, ProblemNote, Time } from '../ui/basics';
import { Dialog, useRun } from '../ui/dialog';
import { TextField } from '../ui/fields';
import { PagedList } from '../ui/pages';
import { Heading } from '../ui/shell';
import { Table } from '../ui/table';
import { FirstSteps } from './first-steps';

const PAGE = 100;

export function Brands() {
  const pages = usePages((cursor, signal) => listBrands({ limit: PAGE, cursor }, signal), []);
  const asking = where.value.query.has('new');
  return (
    <>
      <Heading
        title="Brands"
        actions={
          <Button kind="main" onClick={() => setQuery({ new: 'yes' })}>
            New brand
          </Button>
        }
      />
      <PagedList pages={pages} empty={<FirstSteps />}>
        {(brands) => (
          <Table
            label="Brands"
            rows={brands}
            keyOf={(brand) => brand.brandId}
            columns={[
              { head: 'Brand', names: true, cell: (brand) => <Link to={to.brand(brand.brandId)}>{brand.brandId}</Link> },
              { head: 'Name', cell: (brand) => brand.name },
              {
                head: 'Contact',
                cell: ({ contact }) =>
                  contact ? (
                    <>
                      <bdi>{contact.name}</bdi> <a href={`mailto:${contact.email}`}>{contact.email}</a>
                    </>
                  ) : (
                    <span class="muted">None</span>
                  ),
              },
              { head: 'Webhooks', cell: (brand) => <Link to={to.webhooks(brand.brandId)}>Webhooks of {brand.brandId}</Link> },
              { head: 'Created', cell: (brand) => <Time at={brand.created} /> },
            ]}
          />
        )}
      </PagedList>
      {asking && <NewBrand onClose={() => setQuery({ new: '' })} />}
    </>
  );
}

function NewBrand({ onClose }: { onClose: () => void }) {
  const [draft, setDraft] = useState({ brandId: '', name: '', contactName: '', email: '' });
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
