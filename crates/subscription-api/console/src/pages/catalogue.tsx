import { useState } from 'preact/hooks';
import { listCatalogue } from '../api/support';
import { useResource } from '../lib/use-resource';
import { Link, navigate, to } from '../router';
import { Badge, Button, Empty, ProblemNote, Time, Loading } from '../ui/basics';
import { Dialog } from '../ui/dialog';
import { TextField } from '../ui/fields';
import { Heading } from '../ui/shell';
import { Table } from '../ui/table';

const TYPE = /^[A-Z0-9_]+(\.[A-Z0-9_]+){0,7}$/;

export function Catalogue() {
  const { data, problem, reload } = useResource(listCatalogue, []);
  const [asking, setAsking] = useState(false);
  return (
    <>
      <Heading
        title="Catalogue"
        actions={
          <Button kind="main" onClick={() => setAsking(true)}>
            New event type
          </Button>
        }
      >
        <p class="muted">Event types that producers may publish. Events of any other type are rejected.</p>
      </Heading>
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading lines={5} />}
      {data?.length === 0 && <Empty title="The catalogue is empty." />}
      {data && data.length > 0 && (
        <Table
          label="Event types"
          rows={data}
          keyOf={(entry) => entry.type}
          columns={[
            {
              head: 'Type',
              names: true,
              cell: (entry) => (
                <Link to={to.type(entry.type)} class="mono">
                  {entry.type}
                </Link>
              ),
            },
            { head: 'Description', cell: (entry) => entry.description },
            { head: 'Schema', cell: (entry) => (entry.schema ? (entry.enforceSchema ? 'Enforced' : 'Not enforced') : 'None') },
            { head: 'Example', cell: (entry) => (entry.example ? 'Yes' : 'No') },
            { head: 'Kind', cell: (entry) => entry.builtIn && <Badge tone="info">Built in</Badge> },
            { head: 'Updated', cell: (entry) => <Time at={entry.updated} /> },
          ]}
        />
      )}
      {asking && <NewType onClose={() => setAsking(false)} />}
    </>
  );
}

function NewType({ onClose }: { onClose: () => void }) {
  const [name, setName] = useState('');
  const [left, setLeft] = useState(false);
  const valid = TYPE.test(name) && name.length <= 128;
  const submit = (event: Event) => {
    event.preventDefault();
    setLeft(true);
    if (valid) navigate(to.type(name));
  };
  return (
    <Dialog title="New event type" onClose={onClose}>
      <form onSubmit={submit}>
        <TextField
          label="Type"
          mono
          placeholder="NOTIFICATION.SMS.RECEIPT"
          hint="Up to eight segments of A-Z, 0-9 and _, separated by dots."
          value={name}
          onChange={(text) => setName(text.toUpperCase())}
          onLeave={() => setLeft(name !== '')}
          errors={left && !valid ? ['This is not a valid event type.'] : []}
        />
        <div class="buttons">
          <Button type="submit" kind="main">
            Continue
          </Button>
          <Button onClick={onClose}>Cancel</Button>
        </div>
      </form>
    </Dialog>
  );
}
