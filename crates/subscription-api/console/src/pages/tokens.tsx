// The tokens of a brand, or of support: who has access, since when, until when, and whether it is used.

import { useState } from 'preact/hooks';
import type { Query } from '../api/client';
import { createSupportToken, createToken, deleteSupportToken, deleteToken, listSupportTokens, listTokens, type NewToken } from '../api/tokens';
import type { CreatedToken, Page, SupportToken, Token } from '../api/types';
import { now } from '../lib/clock';
import { expiresIn, expiryOf, LIFETIMES } from '../lib/tokens';
import { usePages } from '../lib/use-pages';
import { errorsByField } from '../lib/webhook-draft';
import type { PageProps } from '../router';
import { isSupport, mayWrite, me } from '../session';
import { announce } from '../ui/announce';
import { Badge, Button, Card, Copy, Empty, Id, Note, ProblemNote, Time } from '../ui/basics';
import { Confirm, useRun } from '../ui/dialog';
import { SelectField, TextField } from '../ui/fields';
import { Menu } from '../ui/menu';
import { PagedList } from '../ui/pages';
import { BrandTabs, Heading } from '../ui/shell';
import { Table, type Column } from '../ui/table';

const ROLES = [
  ['write', 'Write: full access to the brand'],
  ['read', 'Read: view only, no secrets'],
] as const;

type ListedToken = SupportToken & { role?: Token['role'] };

/** The tokens that a page lists, and how it changes them. */
interface TokenSource {
  list: (query: Query, signal?: AbortSignal) => Promise<Page<ListedToken>>;
  create: (body: NewToken) => Promise<CreatedToken>;
  remove: (id: string) => Promise<null>;
  /** Whether the tokens have roles. Those of support have all rights. */
  hasRoles: boolean;
  empty: string;
}

export function Tokens({ params: { brand = '' } }: PageProps) {
  const source: TokenSource = {
    list: (query, signal) => listTokens(brand, query, signal),
    create: (body) => createToken(brand, body),
    remove: (id) => deleteToken(brand, id),
    hasRoles: true,
    empty: 'This brand has no tokens yet, so it cannot use the API.',
  };
  return (
    <>
      <Heading title={isSupport() ? `Tokens of ${brand}` : 'Tokens'} up={isSupport() ? [['/brands', 'Brands']] : []}>
        <BrandTabs brand={brand} />
        <p class="muted">Give each person and each program a token of its own. The audit shows its name.{!mayWrite() && ' Your token is read-only, so it cannot create or delete tokens.'}</p>
      </Heading>
      <TokenList source={source} />
    </>
  );
}

const OF_SUPPORT: TokenSource = {
  list: listSupportTokens,
  create: createSupportToken,
  remove: deleteSupportToken,
  hasRoles: false,
  empty: 'There are no named tokens yet, so the audit calls everyone "Support".',
};

export const SupportTokens = () => (
  <>
    <Heading title="Support tokens">
      <p class="muted">Each of them can do everything that support can. The audit shows its name to support, and only “Support” to brands.</p>
    </Heading>
    <TokenList source={OF_SUPPORT} />
  </>
);

function TokenList({ source }: { source: TokenSource }) {
  const pages = usePages((cursor, signal) => source.list({ limit: 100, cursor }, signal), []);
  const [going, setGoing] = useState<ListedToken | null>(null);
  const role: Column<ListedToken> = { head: 'Role', sort: ({ role }) => role, cell: ({ role }) => <Badge tone={role === 'write' ? 'info' : 'idle'}>{role === 'write' ? 'Write' : 'Read'}</Badge> };
  const action: Column<ListedToken> = { head: 'Action', end: true, cell: (token) => <Menu label={`Actions on token ${token.name}`} items={[{ label: 'Delete…', run: () => setGoing(token), danger: true }]} /> };
  return (
    <>
      {mayWrite() && <NewTokenForm source={source} onCreated={pages.reload} />}
      <PagedList pages={pages} empty={<Empty title={source.empty} />}>
        {(tokens) => (
          <Table
            label="Tokens"
            rows={tokens}
            keyOf={(token) => token.id}
            {...(pages.more ? {} : { sortBy: 'sort' })}
            columns={[
              { head: 'Name', names: true, sort: ({ name }) => name, cell: (token) => <strong>{token.name}</strong> },
              ...(source.hasRoles ? [role] : []),
              { head: 'Last used', sort: ({ lastUsedAt }) => lastUsedAt, cell: (token) => <LastUsed token={token} /> },
              { head: 'Expires', sort: ({ expires }) => expires, cell: (token) => <Expires token={token} nowMs={now.value} /> },
              { head: 'Created', sort: ({ created }) => created, cell: (token) => <Time at={token.created} relative /> },
              { head: 'Id', cell: (token) => <Id id={token.id} what="token id" short /> },
              ...(mayWrite() ? [action] : []),
            ]}
          />
        )}
      </PagedList>
      {going && <DeleteDialog source={source} token={going} onClose={() => setGoing(null)} onDone={pages.reload} />}
    </>
  );
}

function LastUsed({ token: { lastUsedAt } }: { token: SupportToken }) {
  // An API of the previous version does not know.
  if (lastUsedAt === undefined) return <span class="muted">Unknown</span>;
  return lastUsedAt === null ? <span class="muted">Never</span> : <Time at={lastUsedAt} relative />;
}

function Expires({ token, nowMs }: { token: SupportToken; nowMs: number }) {
  switch (expiryOf(token, nowMs)) {
    case 'never':
      return <span class="muted">Never</span>;
    case 'expired':
      return (
        <>
          <Badge tone="bad">Expired</Badge> <Time at={token.expires ?? null} relative />
        </>
      );
    case 'soon':
      return (
        <Badge tone="warn">
          <Time at={token.expires ?? null} relative />
        </Badge>
      );
    default:
      return <Time at={token.expires ?? null} relative />;
  }
}

/** The use and the end of a token in one line. */
export const TokenLife = ({ token, nowMs }: { token: SupportToken; nowMs: number }) => (
  <>
    {token.lastUsedAt ? 'Used ' : 'Used: '}
    <LastUsed token={token} />
    {token.expires && (
      <>
        {expiryOf(token, nowMs) === 'expired' ? ' · ' : ' · expires '}
        <Expires token={token} nowMs={nowMs} />
      </>
    )}
  </>
);

function DeleteDialog({ source, token, onClose, onDone }: { source: TokenSource; token: SupportToken; onClose: () => void; onDone: () => Promise<void> }) {
  const run = async () => {
    await source.remove(token.id);
    announce(`The token ${token.name} is deleted.`);
    await onDone();
  };
  return (
    <Confirm title="Delete this token" action="Delete" onClose={onClose} run={run}>
      <p>
        <strong>{token.name}</strong> stops working at once. Everyone and every program that uses it loses access.
        {token.lastUsedAt && (
          <>
            {' '}
            It was last used <Time at={token.lastUsedAt} relative />.
          </>
        )}
      </p>
      {token.name === me().name && <p>You are signed in with a token of this name. If it is this one, you are signed out.</p>}
    </Confirm>
  );
}

function NewTokenForm({ source, onCreated }: { source: TokenSource; onCreated: () => Promise<void> }) {
  const [name, setName] = useState('');
  const [role, setRole] = useState('write');
  const [lifetime, setLifetime] = useState('');
  const [created, setCreated] = useState<string | null>(null);
  const { busy, problem, go } = useRun(async () => {
    setCreated((await source.create({ name: name.trim(), ...(source.hasRoles ? { role } : {}), ...expiresIn(lifetime, Date.now()) })).token);
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
        <TextField label="Name" required placeholder={source.hasRoles ? 'ci' : 'Ada'} value={name} onChange={setName} errors={errors['name']} />
        {source.hasRoles && <SelectField label="Role" value={role} options={ROLES} onChange={setRole} errors={errors['role']} />}
        <SelectField label="Expires" value={lifetime} options={LIFETIMES} onChange={setLifetime} errors={errors['expires']} />
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
