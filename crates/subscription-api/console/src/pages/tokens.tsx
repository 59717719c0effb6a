import { useState } from 'preact/hooks';
import { createToken, deleteToken, listTokens } from '../api/support';
import type { Token } from '../api/types';
import { errorsByField } from '../lib/webhook-draft';
import { usePages } from '../lib/use-pages';
import type { PageProps } from '../router';
import { announce } from '../ui/announce';
import { Button, Card, Copy, Empty, Note, ProblemNote, Time } from '../ui/basics';
import { Confirm, useRun } from '../ui/dialog';
import { SelectField, TextField } from '../ui/fields';
import { PagedList } from '../ui/pages';
import { BrandTabs, Heading } from '../ui/shell';
import { Table } from '../ui/table';

const ROLES = [
  ['write', 'Write: full access to the brand'],
  ['read', 'Read: view only, no secrets'],
] as const;

export function Tokens({ params: { brand = '' } }: PageProps) {
  const pages = usePages((cursor, signal) => listTokens(brand, { limit: 100, cursor }, signal), [brand]);
  const [going, setGoing] = useState<Token | null>(null);
  return (
    <>
      <Heading title={`Tokens of ${brand}`} up={[['/brands', 'Brands']]}>
        <BrandTabs brand={brand} />
      </Heading>
      <NewToken brand={brand} onCreated={pages.reload} />
      <PagedList pages={pages} empty={<Empty title="This brand has no tokens yet, so it cannot use the API." />}>
        {(tokens) => (
          <Table
            label="Tokens"
            rows={tokens}
            keyOf={(token) => token.id}
            columns={[
              { head: 'Name', names: true, cell: (token) => token.name },
              { head: 'Role', cell: (token) => token.role },
              { head: 'Created', cell: (token) => <Time at={token.created} /> },
              { head: 'Id', cell: (token) => <code>{token.id}</code> },
              {
                head: 'Action',
                end: true,
                cell: (token) => (
                  <Button kind="danger" label={`Delete token ${token.name}`} onClick={() => setGoing(token)}>
                    Delete…
                  </Button>
                ),
              },
            ]}
          />
        )}
      </PagedList>
      {going && (
        <Confirm
          title="Delete this token"
          action="Delete"
          onClose={() => setGoing(null)}
          run={async () => {
            await deleteToken(brand, going.id);
            announce(`The token ${going.name} is deleted.`);
            await pages.reload();
          }}
        >
          <p>
            <strong>{going.name}</strong> stops working at once. Every program that uses it loses access.
          </p>
        </Confirm>
      )}
    </>
  );
}

function NewToken({ brand, onCreated }: { brand: string; onCreated: () => Promise<void> }) {
  const [name, setName] = useState('');
  const [role, setRole] = useState('write');
  const [created, setCreated] = useState<string | null>(null);
  const { busy, problem, go } = useRun(async () => {
    setCreated((await createToken(brand, { name: name.trim(), role })).token);
    setName('');
    await onCreated();
  });
  const errors = errorsByField(problem?.status === 422 ? problem.fieldErrors : []);
  const submit = (event: Event) => {
    event.preventDefault();
    void go();
  };
  return (
    <Card title="New token">
      <form onSubmit={submit} class="inline-form">
        <TextField label="Name" required placeholder="ci" value={name} onChange={setName} errors={errors['name']} />
        <SelectField label="Role" value={role} options={ROLES} onChange={setRole} errors={errors['role']} />
        <Button type="submit" kind="main" busy={busy}>
          Create a token
        </Button>
      </form>
      {problem?.status !== 422 && <ProblemNote problem={problem} />}
      {created && (
        <Note tone="good">
          <p>
            <strong>Copy the token now. It is shown only once.</strong>
          </p>
          <div class="secret">
            <code class="open">{created}</code>
            <div class="buttons">
              <Copy text={created} what="Token" />
              <Button onClick={() => setCreated(null)}>I have it</Button>
            </div>
          </div>
        </Note>
      )}
    </Card>
  );
}
