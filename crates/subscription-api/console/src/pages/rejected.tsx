// The events that the router rejected, with their reasons, and the actions on them.

import { useState } from 'preact/hooks';
import { listRejected, deleteRejected, republishRejected } from '../api/support';
import type { Rejected } from '../api/types';
import { bytes, count, pluralize } from '../lib/format';
import { indentJson, checkJson } from '../lib/raw-json';
import { useResource } from '../lib/use-resource';
import { announce } from '../ui/announce';
import { Badge, Button, Card, Code, Empty, ProblemNote, Loading } from '../ui/basics';
import { Confirm } from '../ui/dialog';
import { TextField } from '../ui/fields';
import { Heading } from '../ui/shell';

const SHOWN = 100;
const POLL_INTERVAL_MS = 10_000;

export function RejectedEvents() {
  const { data, problem, reload } = useResource((signal) => listRejected({ limit: SHOWN }, signal), [], { every: POLL_INTERVAL_MS });
  const [asking, setAsking] = useState<'republish' | 'delete' | null>(null);
  const close = () => setAsking(null);
  const some = (data?.total ?? 0) > 0;
  const actions = some && (
    <>
      <Button kind="main" onClick={() => setAsking('republish')}>
        Republish…
      </Button>
      <Button kind="danger" onClick={() => setAsking('delete')}>
        Delete all…
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
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading />}
      {data && !some && <Empty title="Nothing is rejected." />}
      {data && some && (
        <>
          <p>
            {pluralize(data.total, 'event')} in all
            {data.items.length < data.total && `; the first ${count(data.items.length)} are shown`}.
          </p>
          {data.items.map((item, n) => (
            <Item key={`${item.messageId ?? ''}${n}`} item={item} number={n + 1} />
          ))}
        </>
      )}
      {asking === 'republish' && <Republish total={data?.total ?? 0} onClose={close} onDone={reload} />}
      {asking === 'delete' && (
        <Confirm
          title="Delete all rejected events"
          action="Delete for good"
          typed="delete"
          onClose={close}
          run={async () => {
            await deleteRejected();
            announce('The rejected events are deleted.');
            await reload();
          }}
        >
          <p>{pluralize(data?.total ?? 0, 'event')} will be deleted, and so will all events that are rejected until you confirm.</p>
        </Confirm>
      )}
    </>
  );
}

function Item({ item, number }: { item: Rejected; number: number }) {
  const isText = item.bodyEncoding === 'utf-8';
  const shown = isText && checkJson(item.body) === null ? indentJson(item.body) : item.body;
  return (
    <Card>
      <p class="tags">
        <Badge tone="warn">{item.reason ?? 'unknown'}</Badge>
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

function Republish({ total, onClose, onDone }: { total: number; onClose: () => void; onDone: () => Promise<void> }) {
  const [limit, setLimit] = useState('');
  const valid = limit === '' || (/^\d+$/.test(limit) && Number(limit) > 0);
  const run = async () => {
    if (!valid) return;
    const { republished } = await republishRejected(limit ? Number(limit) : null);
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
        hint={`Leave empty to republish all ${count(total)}.`}
        value={limit}
        onChange={setLimit}
        errors={valid ? [] : ['Enter a whole number, or leave the field empty.']}
      />
    </Confirm>
  );
}
