// The events that the router rejected, with their reasons, and the actions on them.

import { useEffect, useState } from 'preact/hooks';
import { listRejected, deleteRejected, republishRejected } from '../api/support';
import type { Rejected, RejectedFilter } from '../api/types';
import { bytes, count, pluralize } from '../lib/format';
import { indentJson, checkJson } from '../lib/raw-json';
import { useResource } from '../lib/use-resource';
import { setQuery, where } from '../router';
import { announce } from '../ui/announce';
import { Badge, Button, Card, Code, Empty, ProblemNote, Loading } from '../ui/basics';
import { Confirm } from '../ui/dialog';
import { TextField } from '../ui/fields';
import { Heading } from '../ui/shell';

const SHOWN = 100;
const POLL_INTERVAL_MS = 10_000;

export function RejectedEvents() {
  const query = where.value.query;
  const filter: RejectedFilter = { brandId: query.get('brandId') ?? '', reason: query.get('reason') ?? '' };
  const narrowed = Boolean(filter.brandId || filter.reason);
  const { data, problem, reload } = useResource(
    (signal) => listRejected({ limit: SHOWN, ...filter }, signal),
    [filter.brandId, filter.reason],
    // A filtered page is not polled, because the server looks at all rejected events for it, one request at a time.
    { every: narrowed ? undefined : POLL_INTERVAL_MS },
  );
  const [asking, setAsking] = useState<'republish' | 'delete' | null>(null);
  const close = () => setAsking(null);
  const some = (data?.total ?? 0) > 0;
  const actions = some && (
    <>
      <Button kind="main" onClick={() => setAsking('republish')}>
        Republish…
      </Button>
      <Button kind="danger" onClick={() => setAsking('delete')}>
        {narrowed ? 'Delete these…' : 'Delete all…'}
      </Button>
    </>
  );
  return (
    <>
      <Heading title="Rejected events" actions={actions}>
        <p class="muted">
          Events that the router could not accept are kept here unchanged. Fix the cause, for example by adding the
          event type to the catalogue, then republish them.
        </p>
      </Heading>
      <Filters filter={filter} reload={reload} />
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading />}
      {data && !some && <Empty title="Nothing is rejected." />}
      {data && some && (
        <>
          <p>
            {pluralize(data.total, 'event')} in all
            {narrowed && `; ${pluralize(data.items.length, 'event')} of this brand and reason ${data.complete ? 'are' : 'are among the first and'} shown`}
            {!narrowed && data.items.length < data.total && `; the first ${count(data.items.length)} are shown`}.
          </p>
          {data.items.map((item, n) => (
            <Item key={`${item.messageId ?? ''}${n}`} item={item} number={n + 1} />
          ))}
        </>
      )}
      {asking === 'republish' && <Republish total={data?.total ?? 0} filter={filter} onClose={close} onDone={reload} />}
      {asking === 'delete' && (
        <Confirm
          title={narrowed ? 'Delete these rejected events' : 'Delete all rejected events'}
          action="Delete for good"
          typed="delete"
          onClose={close}
          run={async () => {
            const result = await deleteRejected(filter);
            announce(result ? `${pluralize(result.deleted, 'event')} deleted.` : 'The rejected events are deleted.');
            await reload();
          }}
        >
          {narrowed && <p>All rejected events of this brand and reason will be deleted, also those that are not shown.</p>}
          {!narrowed && <p>{pluralize(data?.total ?? 0, 'event')} will be deleted, and so will all events that are rejected until you confirm.</p>}
        </Confirm>
      )}
    </>
  );
}

/** The filters. They are part of the URL, so that people can share a view. They apply on submit, because a filtered page is costly. */
function Filters({ filter, reload }: { filter: RejectedFilter; reload: () => Promise<void> }) {
  const [brandId, setBrandId] = useState(filter.brandId);
  const [reason, setReason] = useState(filter.reason);
  useEffect(() => {
    setBrandId(filter.brandId);
    setReason(filter.reason);
  }, [filter.brandId, filter.reason]);
  const apply = (event: Event) => {
    event.preventDefault();
    const wanted = { brandId: brandId.trim(), reason: reason.trim() };
    if (wanted.brandId === filter.brandId && wanted.reason === filter.reason) void reload();
    else setQuery(wanted);
  };
  return (
    <form class="filters" role="search" aria-label="Rejected events" onSubmit={apply}>
      <TextField label="Brand" value={brandId} onChange={setBrandId} />
      <TextField label="Reason" value={reason} onChange={setReason} />
      <Button type="submit">Apply</Button>
      {(filter.brandId || filter.reason) && (
        <Button kind="quiet" onClick={() => setQuery({ brandId: '', reason: '' })}>
          Clear filters
        </Button>
      )}
    </form>
  );
}

function Item({ item, number }: { item: Rejected; number: number }) {
  const isText = item.bodyEncoding === 'utf-8';
  const shown = isText && checkJson(item.body) === null ? indentJson(item.body) : item.body;
  return (
    <Card>
      <p class="tags">
        <Badge tone="warn">{item.reason ?? 'unknown'}</Badge>
        {item.brandId && <span>{item.brandId}</span>}
        <span>{item.detail}</span>
        <span class="muted small">
          {bytes(item.bytes)}
          {!isText && ', base64'}
          {item.messageId && `, message ${item.messageId}`}
        </span>
      </p>
      <details>
        <summary>The message</summary>
        <Code label={`Body of rejected message ${number}`}>{shown || '(empty)'}</Code>
      </details>
    </Card>
  );
}

function Republish({ total, filter, onClose, onDone }: { total: number; filter: RejectedFilter; onClose: () => void; onDone: () => Promise<void> }) {
  const [limit, setLimit] = useState('');
  const valid = limit === '' || (/^\d+$/.test(limit) && Number(limit) > 0);
  const run = async () => {
    if (!valid) return;
    const { republished } = await republishRejected(limit ? Number(limit) : null, filter);
    announce(`${pluralize(republished, 'event')} republished.`);
    await onDone();
  };
  return (
    <Confirm title="Republish rejected events" action="Republish" danger={false} run={run} onClose={onClose}>
      <p>The router processes the events again, oldest first. Events that it still rejects come back here.</p>
      <TextField
        label="Maximum number"
        optional
        inputMode="numeric"
        hint={filter.brandId || filter.reason ? 'Leave empty to republish all of this brand and reason.' : `Leave empty to republish all ${count(total)}.`}
        value={limit}
        onChange={setLimit}
        errors={valid ? [] : ['Enter a whole number, or leave the field empty.']}
      />
    </Confirm>
  );
}
