// The events that the router rejected, in groups of a reason, a brand and a type, with the way to fix each group.

import { useState } from 'preact/hooks';
import { deleteRejected, listRejected, republishRejected, summarizeRejected, type GroupFilter } from '../api/rejected';
import { Problem } from '../api/problem';
import type { Rejected, RejectedGroup } from '../api/types';
import { bytes, count, pluralize } from '../lib/format';
import { indentJson, checkJson } from '../lib/raw-json';
import { coveredBy, explainReason, fixOf, groupKey, typeOfBody } from '../lib/rejected';
import { useResource } from '../lib/use-resource';
import { Link, setQuery, to, where } from '../router';
import { announce } from '../ui/announce';
import { Button, Code, Copy, Empty, Fact, Facts, Note, ProblemNote, Stat, Stats, Time, Loading } from '../ui/basics';
import { Confirm } from '../ui/dialog';
import { Menu } from '../ui/menu';
import { Heading } from '../ui/shell';
import { RejectedJobs } from './jobs';

const POLL_INTERVAL_MS = 10_000;
/** Number of messages among which a sample of the type is looked for. */
const SAMPLES = 50;

interface Asking {
  action: 'republish' | 'delete';
  filter: GroupFilter;
  messages: number;
  what: string;
}

export function RejectedEvents() {
  const { data, problem, reload } = useResource(summarizeRejected, [], { every: POLL_INTERVAL_MS });
  const [asking, setAsking] = useState<Asking | null>(null);
  const groups = data?.items ?? [];
  const ask = (action: Asking['action'], group: RejectedGroup | null) => {
    const filter = { brandId: group?.brandId ?? null, reason: group?.reason ?? null, type: group?.type ?? null };
    const covered = coveredBy(filter, groups);
    const messages = group ? covered.reduce((sum, { messages }) => sum + messages, 0) : (data?.total ?? 0);
    setAsking({ action, filter, messages, what: group ? describeGroup(group, covered.length) : 'all groups' });
  };
  const actions = groups.length > 0 && (
    <>
      <Button onClick={() => ask('republish', null)}>Republish all…</Button>
      <Menu label="More actions" items={[{ label: 'Delete all…', run: () => ask('delete', null), danger: true }]} />
    </>
  );
  return (
    <>
      <Heading title="Rejected events" actions={actions}>
        <p class="muted">Events that the router could not accept are kept here unchanged. Fix the cause, then republish them.</p>
      </Heading>
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading lines={6} />}
      {data && data.total === 0 && <Empty title="Nothing is rejected." />}
      {data && data.total > 0 && (
        <>
          <Stats>
            <Stat label="Rejected events" hint={data.complete ? undefined : 'and more that were not counted yet'}>
              {count(data.total)}
            </Stat>
            <Stat label="Groups">{count(groups.length)}</Stat>
            <Stat label="Brands">{count(new Set(groups.map(({ brandId }) => brandId).filter(Boolean)).size)}</Stat>
          </Stats>
          <ul class="groups">
            {groups.map((group) => (
              <Group key={groupKey(group)} group={group} ask={ask} />
            ))}
          </ul>
        </>
      )}
      {data && data.dropped.length > 0 && <Dropped groups={data.dropped} />}
      <RejectedJobs onOver={reload} />
      {asking && <Ask asking={asking} onClose={() => setAsking(null)} onDone={reload} />}
    </>
  );
}

/** `unknown event type, ORDER.PAID, brand acme` */
function describeGroup({ brandId, reason, type }: RejectedGroup, covered: number): string {
  const parts = [explainReason(reason).title.toLowerCase(), type, brandId && `brand ${brandId}`].filter(Boolean).join(', ');
  // A group without a brand or type can only be named by the rest, which others share.
  return covered > 1 ? `${parts}: ${count(covered)} groups, because this one has no brand or type to tell it apart` : parts;
}

function Group({ group, ask }: { group: RejectedGroup; ask: (action: Asking['action'], group: RejectedGroup) => void }) {
  const key = groupKey(group);
  const open = where.value.query.get('group') === key;
  const { title, advice } = explainReason(group.reason);
  const fix = fixOf(group);
  return (
    <li class={open ? 'open' : undefined}>
      <div class="group-line">
        <div class="group-what">
          <p>
            <strong>{title}</strong>
            {group.type && <code>{group.type}</code>}
            {group.brandId ? <Link to={to.brand(group.brandId)}>{group.brandId}</Link> : <span class="muted">no brand</span>}
          </p>
          <p class="muted small">{advice}</p>
        </div>
        <div class="group-count">
          <strong>{count(group.messages)}</strong>
          <span class="muted small">
            {group.messages === 1 ? 'event' : 'events'}, {bytes(group.bytes)}
          </span>
        </div>
        <div class="group-when small">
          {group.first && (
            <p>
              <span class="muted">First</span> <Time at={group.first} relative />
            </p>
          )}
          {group.last && (
            <p>
              <span class="muted">Last</span> <Time at={group.last} relative />
            </p>
          )}
        </div>
        <div class="buttons">
          <button type="button" class="button quiet" aria-expanded={open} aria-label={`${open ? 'Hide' : 'Show'} a sample of ${title}`} onClick={() => setQuery({ group: open ? '' : key })}>
            {open ? 'Hide sample' : 'Sample'}
          </button>
          {fix && (
            <Link to={fix.path} class="button">
              {fix.label}
            </Link>
          )}
          <Button onClick={() => ask('republish', group)} label={`Republish ${title}${group.type ? ` ${group.type}` : ''}…`}>
            Republish…
          </Button>
          <Menu label={`More actions on ${title}`} items={[{ label: `Delete ${pluralize(group.messages, 'event')}…`, run: () => ask('delete', group), danger: true }]} />
        </div>
      </div>
      {open && <Sample group={group} />}
    </li>
  );
}

/** Reads a message of the group. An API that cannot narrow by type sends others, too. */
async function readSample({ brandId, reason, type }: RejectedGroup, signal: AbortSignal): Promise<Rejected | null> {
  const query = { brandId, reason, limit: SAMPLES };
  const read = type
    ? await listRejected({ ...query, type }, signal).catch((error: unknown) => {
        if (error instanceof Problem && error.status === 400) return listRejected(query, signal);
        throw error;
      })
    : await listRejected(query, signal);
  return read.items.find((item) => !type || item.bodyEncoding !== 'utf-8' || typeOfBody(item.body) === type) ?? null;
}

function Sample({ group }: { group: RejectedGroup }) {
  const { data, problem, reload } = useResource(async (signal) => ({ item: await readSample(group, signal) }), [groupKey(group)]);
  return (
    <div class="group-sample">
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading lines={3} />}
      {data && !data.item && <p class="muted">No message of this group is among the first {SAMPLES} any more.</p>}
      {data?.item && <Message item={data.item} />}
    </div>
  );
}

function Message({ item }: { item: Rejected }) {
  const isText = item.bodyEncoding === 'utf-8';
  const shown = isText && checkJson(item.body) === null ? indentJson(item.body) : item.body;
  return (
    <>
      <Facts>
        <Fact label="Detail">{item.detail ?? '–'}</Fact>
        <Fact label="Message id">{item.messageId ? <code>{item.messageId}</code> : <span class="muted">None</span>}</Fact>
        <Fact label="Size">
          {bytes(item.bytes)}
          {!isText && ', shown as base64'}
        </Fact>
      </Facts>
      <div class="snippet">
        <div class="snippet-head">
          <span>The message</span>
          <Copy text={item.body} what="Message" />
        </div>
        <Code label="Body of the rejected message">{shown || '(empty)'}</Code>
      </div>
    </>
  );
}

/** Groups that lost messages, because a brand exceeded its share of the queue. */
const Dropped = ({ groups }: { groups: readonly RejectedGroup[] }) => (
  <Note tone="warn">
    <p>
      <strong>{pluralize(groups.reduce((sum, { messages }) => sum + messages, 0), 'rejected event')} could not be kept</strong>, because a brand exceeded its share of the queue:{' '}
      {groups.map(({ brandId, reason, messages }) => `${brandId ?? 'no brand'} (${explainReason(reason).title.toLowerCase()}, ${count(messages)})`).join('; ')}.
    </p>
  </Note>
);

function Ask({ asking: { action, filter, messages, what }, onClose, onDone }: { asking: Asking; onClose: () => void; onDone: () => Promise<void> }) {
  const republish = action === 'republish';
  const run = async () => {
    await (republish ? republishRejected(filter) : deleteRejected(filter));
    announce(republish ? 'The events are being republished.' : 'The events are being deleted.');
    await onDone();
  };
  return (
    <Confirm
      title={republish ? `Republish ${pluralize(messages, 'rejected event')}` : `Delete ${pluralize(messages, 'rejected event')}`}
      action={republish ? 'Republish' : 'Delete for good'}
      danger={!republish}
      {...(republish ? {} : { typed: 'delete' })}
      run={run}
      onClose={onClose}
    >
      <p>Of {what}.</p>
      <p>
        {republish
          ? 'The router processes them again, oldest first. Events that it still rejects come back here. A job shows the progress, and you can stop it.'
          : 'They cannot be restored. Events of this group that are rejected until you confirm are deleted as well.'}
      </p>
    </Confirm>
  );
}
