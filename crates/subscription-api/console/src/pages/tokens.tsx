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
  ['write', 'Write: everything of the brand'],
  ['read', 'Read: look only, no secrets'],
] as const;

export function Tokens({ params: { brand = '' } }: PageProps) {
  const pages = usePages((cursor, signal) => listTokens(brand, { limit: 100, cursor }, signal), [brand]);
  const [going, setGoing] = useState<Token | null>(null);
  return (
    <>
      <Heading title={`Tokens of ${brand}`} up={[['/brands', 'Brands']]}>
        <BrandTabs brand={brand} />
      </Heading>
      <NewToken brand={brand} onMade={pages.reload} />
      <PagedList pages={pages} empty={<Empty title="This brand has no token yet: nobody of it can use the API." />}>
        {(tokens) => (
          <Table
            label="Tokens"
            rows={tokens}
            keyOf={(token) => token.id}
            columns={[
              { head: 'Name', names: true, cell: (token) => token.name },
              { head: 'Role', cell: (token) => token.role },
              { head: 'Made', cell: (token) => <Time at={token.created} /> },
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
            <strong>{going.name}</strong> opens nothing from then on: whatever uses it is shut out at once.
          </p>
        </Confirm>
      )}
    </>
  );
}

function NewToken({ brand, onMade }: { brand: string; onMade: () => Promise<void> }) {
  const [name, setName] = useState('');
  const [role, setRole] = useState('write');
  const [made, setMade] = useState<string | null>(null);
  const { busy, problem, go } = useRun(async () => {
    setMade((await createToken(brand, { name: name.trim(), role })).token);
    setName('');
    await onMade();
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
          Make a token
        </Button>
      </form>
      {problem?.status !== 422 && <ProblemNote problem={problem} />}
      {made && (
        <Note tone="good">
          <p>
            <strong>Copy it now: it is shown only here.</strong>
          </p>
          <div class="secret">
            <code class="open">{made}</code>
            <div class="buttons">
              <Copy text={made} what="Token" />
              <Button onClick={() => setMade(null)}>I have it</Button>
            </div>
          </div>
        </Note>
      )}
    </Card>
  );
}
