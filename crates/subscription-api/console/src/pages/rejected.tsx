// What the router could not accept: why, what it was, and whether it goes in again.

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
  const [asking, setAsking] = useState<'republish' | 'purge' | null>(null);
  const close = () => setAsking(null);
  const some = (data?.total ?? 0) > 0;
  const actions = some && (
    <>
      <Button kind="main" onClick={() => setAsking('republish')}>
        Republish…
      </Button>
      <Button kind="danger" onClick={() => setAsking('purge')}>
        Discard all…
      </Button>
    </>
  );
  return (
    <>
      <Heading title="Rejected events" actions={actions}>
        <p class="muted">
          What the router could not accept waits here whole. Mend the cause, for example by putting the type into the
          catalogue, then republish.
        </p>
      </Heading>
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading />}
      {data && !some && <Empty title="Nothing is rejected." />}
      {data && some && (
        <>
          <p>
            {pluralize(data.total, 'event')} in all
            {data.items.length < data.total && `, of which the first ${count(data.items.length)} are shown`}.
          </p>
          {data.items.map((item, n) => (
            <Item key={`${item.messageId ?? ''}${n}`} item={item} number={n + 1} />
          ))}
        </>
      )}
      {asking === 'republish' && <Republish total={data?.total ?? 0} onClose={close} onDone={reload} />}
      {asking === 'purge' && (
        <Confirm
          title="Discard all rejected events"
          action="Discard for good"
          typed="discard"
          onClose={close}
          run={async () => {
            await deleteRejected();
            announce('The rejected events are discarded.');
            await reload();
          }}
        >
          <p>{pluralize(data?.total ?? 0, 'event')} would be gone for good, and with them whatever is rejected until then.</p>
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
    announce(`${pluralize(republished, 'event')} published again.`);
    await onDone();
  };
  return (
    <Confirm title="Republish rejected events" action="Republish" danger={false} run={run} onClose={onClose}>
      <p>They go through the router again, the oldest first. What still cannot be accepted comes back here.</p>
      <TextField
        label="At most"
        optional
        inputMode="numeric"
        hint={`Empty for all ${count(total)}`}
        value={limit}
        onChange={setLimit}
        errors={valid ? [] : ['Give a whole number, or nothing.']}
      />
    </Confirm>
  );
}
