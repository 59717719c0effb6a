import { useEffect, useRef, useState } from 'preact/hooks';
import { listCatalogue, deleteType, putType, type Definition } from '../api/support';
import type { EventType } from '../api/types';
import { indentJson, checkJson } from '../lib/raw-json';
import { errorsByField } from '../lib/webhook-draft';
import { useResource } from '../lib/use-resource';
import { navigate, type PageProps } from '../router';
import { announce } from '../ui/announce';
import { Button, Card, Code, Note, ProblemNote, Loading } from '../ui/basics';
import { Confirm, useRun } from '../ui/dialog';
import { AreaField, CheckField, focusFirstInvalid, TextField } from '../ui/fields';
import { Heading } from '../ui/shell';

export function CatalogueEntry({ params: { type = '' } }: PageProps) {
  const find = async (signal: AbortSignal) => ({ entry: (await listCatalogue(signal)).find((e) => e.type === type) ?? null });
  const { data, problem, reload } = useResource(find, [type]);
  const [asking, setAsking] = useState(false);
  const entry = data?.entry ?? null;
  const action = entry && !entry.builtIn && (
    <Button kind="danger" onClick={() => setAsking(true)}>
      Delete…
    </Button>
  );
  return (
    <>
      <Heading title={type} up={[['/catalogue', 'Catalogue']]} actions={action} />
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading />}
      {data && !entry && (
        <Note>
          <p>This event type is not in the catalogue yet. Save it to add it.</p>
        </Note>
      )}
      {data && (entry?.builtIn ? <BuiltIn entry={entry} /> : <EntryForm type={type} entry={entry} onSaved={reload} />)}
      {asking && (
        <Confirm
          title="Delete this event type"
          action="Delete"
          typed={type}
          onClose={() => setAsking(false)}
          run={async () => {
            await deleteType(type);
            announce(`${type} is deleted.`);
            navigate('/catalogue');
          }}
        >
          <p>From then on, events of this type are rejected. Delivered events stay readable.</p>
        </Confirm>
      )}
    </>
  );
}

const BuiltIn = ({ entry }: { entry: EventType }) => (
  <Card title="Built in">
    <p>{entry.description}</p>
    <p class="muted">The platform itself publishes this event type. You cannot edit it.</p>
    {entry.example && <Code label="Example">{indentJson(entry.example)}</Code>}
    {entry.schema && <Code label="Schema">{indentJson(entry.schema)}</Code>}
  </Card>
);

function EntryForm({ type, entry, onSaved }: { type: string; entry: EventType | null; onSaved: () => Promise<void> }) {
  const form = useRef<HTMLFormElement>(null);
  const [draft, setDraft] = useState<Definition>({
    description: entry?.description ?? '',
    schema: entry?.schema ? indentJson(entry.schema) : '',
    enforceSchema: entry?.enforceSchema ?? false,
    example: entry?.example ? indentJson(entry.example) : '',
  });
  const set = (change: Partial<Definition>) => setDraft({ ...draft, ...change });
  const { busy, problem, go } = useRun(async () => {
    await putType(type, draft);
    announce(`${type} is saved.`);
    await onSaved();
  });
  const told = errorsByField(problem?.status === 422 ? problem.fieldErrors : []);
  const json = (text: string, field: string) => {
    const error = text.trim() ? checkJson(text) : null;
    return error ? [error] : (told[field] ?? []);
  };
  const errors = { schema: json(draft.schema, 'schema'), example: json(draft.example, 'example') };

  useEffect(() => {
    if (problem?.status === 422) focusFirstInvalid(form.current);
  }, [problem]);

  const submit = (event: Event) => {
    event.preventDefault();
    const whole = [draft.schema, draft.example].every((text) => !text.trim() || checkJson(text) === null);
    if (whole) void go();
    else focusFirstInvalid(form.current);
  };
  return (
    <form ref={form} class="form" onSubmit={submit}>
      <Card>
        <TextField label="Description" required value={draft.description} onChange={(description) => set({ description })} errors={told['description']} />
        <AreaField label="Data schema" optional mono rows={12} hint="JSON Schema" value={draft.schema} onChange={(schema) => set({ schema })} errors={errors.schema} />
        <CheckField label="Enforce the schema" hint="Events whose data violates the schema are rejected." checked={draft.enforceSchema} onChange={(enforceSchema) => set({ enforceSchema })} />
        <AreaField label="Example data" optional mono rows={8} hint="JSON. Test events send this example." value={draft.example} onChange={(example) => set({ example })} errors={errors.example} />
        {told['enforceSchema'] && <Note tone="bad">{told['enforceSchema'].map((error) => <p key={error}>{error}</p>)}</Note>}
        {problem?.status !== 422 && <ProblemNote problem={problem} />}
        <div class="buttons">
          <Button type="submit" kind="main" busy={busy}>
            Save
          </Button>
          <Button onClick={() => navigate('/catalogue')}>Cancel</Button>
        </div>
      </Card>
    </form>
  );
}
