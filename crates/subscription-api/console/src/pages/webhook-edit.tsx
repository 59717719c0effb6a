import { useEffect, useRef, useState } from 'preact/hooks';
import type { OfferedType, Webhook } from '../api/types';
import { editWebhook, createWebhook, offeredTypes, readWebhook } from '../api/webhooks';
import { useResource } from '../lib/use-resource';
import { toCreateBody, toDraft, errorsByField, validateDraft, toPatchBody, type Draft, type DraftErrors, type Field } from '../lib/webhook-draft';
import { webhookName } from '../lib/health';
import { navigate, to, type PageProps } from '../router';
import { isSupport, mayWrite } from '../session';
import { announce } from '../ui/announce';
import { Button, Card, Note, ProblemNote, Loading } from '../ui/basics';
import { useRun } from '../ui/dialog';
import { focusFirstInvalid, TextField } from '../ui/fields';
import { HeadersField } from '../ui/headers-field';
import { Heading } from '../ui/shell';
import { TypeTree } from '../ui/type-tree';
import { showSecret } from './webhook-secret';

export function NewWebhook({ params: { brand = '' } }: PageProps) {
  const save = async (draft: Draft) => {
    const { secret, ...created } = await createWebhook(brand, toCreateBody(draft));
    showSecret(created.id, secret);
    announce('The webhook is created.');
    navigate(to.created(brand, created.id), { replace: true });
  };
  return (
    <>
      <Heading title="New webhook" up={upOf(brand)} />
      <Writers>
        <WithTypes brand={brand}>
          {(types) => <Form types={types} webhook={null} save={save} action="Create the webhook" back={to.webhooks(brand)} />}
        </WithTypes>
      </Writers>
    </>
  );
}

export function EditWebhook({ params: { brand = '', webhook = '' } }: PageProps) {
  const webhookRef = { brand, webhook };
  const back = to.webhook(brand, webhook);
  const { data, problem, reload } = useResource((signal) => readWebhook(webhookRef, signal), [brand, webhook]);
  const save = async (draft: Draft) => {
    if (data) await editWebhook(webhookRef, toPatchBody(draft, data));
    announce('The webhook is saved.');
    navigate(back);
  };
  return (
    <>
      <Heading title="Edit webhook" up={[...upOf(brand), [back, data ? webhookName(data) : webhook]]} />
      <ProblemNote problem={problem} retry={reload} />
      <Writers>
        <WithTypes brand={brand}>
          {(types) => (data ? <Form types={types} webhook={data} save={save} action="Save" back={back} /> : !problem && <Loading />)}
        </WithTypes>
      </Writers>
    </>
  );
}

const upOf = (brand: string): [string, string][] =>
  isSupport() ? [['/brands', 'Brands'], [to.brand(brand), brand], [to.webhooks(brand), 'Webhooks']] : [[to.webhooks(brand), 'Webhooks']];

/** Shows a form only to readers who may send it. */
function Writers({ children }: { children: preact.ComponentChildren }) {
  if (mayWrite()) return <>{children}</>;
  return (
    <Note>
      <p>Your token is read-only. Sign in with a token that has the role write to create or edit webhooks.</p>
    </Note>
  );
}

function WithTypes({ brand, children }: { brand: string; children: (types: OfferedType[]) => preact.ComponentChild }) {
  const { data, problem, reload } = useResource((signal) => offeredTypes(brand, signal), [brand]);
  if (problem && !data) return <ProblemNote problem={problem} retry={reload} />;
  return <>{data ? children(data) : <Loading lines={6} />}</>;
}

interface FormProps {
  types: OfferedType[];
  webhook: Webhook | null;
  save: (draft: Draft) => Promise<void>;
  action: string;
  back: string;
}

function Form({ types, webhook, save, action, back }: FormProps) {
  const form = useRef<HTMLFormElement>(null);
  const [draft, setDraft] = useState(() => toDraft(webhook));
  // A field is validated once it loses the focus, and all fields are validated on submit.
  const [left, setLeft] = useState<ReadonlySet<Field>>(new Set());
  const { busy, problem, go, clear } = useRun(save);
  const own = validateDraft(draft);
  const told = problem?.status === 422 ? errorsByField(problem.fieldErrors) : {};
  const errors = (field: Field): string[] => [...(left.has(field) ? (own[field] ?? []) : []), ...(told[field] ?? [])];
  const set = (change: Partial<Draft>) => {
    setDraft({ ...draft, ...change });
    if (problem) clear();
  };
  const leave = (field: Field) => setLeft(new Set([...left, field]));

  useEffect(() => {
    if (problem?.status === 422) focusFirstInvalid(form.current);
  }, [problem]);

  const submit = (event: Event) => {
    event.preventDefault();
    setLeft(new Set(['endpoint', 'events', 'headers', 'maxConcurrency', 'ratePerSecond']));
    if (Object.keys(own).length > 0) focusFirstInvalid(form.current);
    else void go(draft);
  };

  return (
    <form ref={form} class="form" onSubmit={submit} noValidate>
      <Card>
        <TextField
          label="Endpoint"
          inputMode="url"
          mono
          placeholder="https://example.com/webhooks"
          hint="The HTTPS URL that receives the events. Its host must not resolve to a private address."
          value={draft.endpoint}
          onChange={(endpoint) => set({ endpoint })}
          onLeave={() => leave('endpoint')}
          errors={errors('endpoint')}
        />
        <TextField
          label="Description"
          optional
          value={draft.description}
          onChange={(description) => set({ description })}
          errors={errors('description')}
        />
        <TypeTree
          types={types}
          chosen={draft.events}
          onChange={(events) => set({ events })}
          errors={errors('events')}
        />
      </Card>
      <Card title="Requests">
        <div class="two">
          <TextField
            label="Requests at a time"
            inputMode="numeric"
            hint="1 to 100"
            value={draft.maxConcurrency}
            onChange={(maxConcurrency) => set({ maxConcurrency })}
            onLeave={() => leave('maxConcurrency')}
            errors={errors('maxConcurrency')}
          />
          <TextField
            label="Requests per second"
            optional
            inputMode="numeric"
            hint="1 to 10000, or empty for no limit"
            value={draft.ratePerSecond}
            onChange={(ratePerSecond) => set({ ratePerSecond })}
            onLeave={() => leave('ratePerSecond')}
            errors={errors('ratePerSecond')}
          />
        </div>
        <HeadersField headers={draft.headers} onChange={(headers) => set({ headers })} errors={errors('headers')} />
      </Card>
      <Elsewhere told={told} />
      {problem && problem.status !== 422 && <ProblemNote problem={problem} />}
      <div class="buttons">
        <Button type="submit" kind="main" busy={busy}>
          {action}
        </Button>
        <Button onClick={() => navigate(back)}>Cancel</Button>
      </div>
    </form>
  );
}

const SHOWN: readonly string[] = ['endpoint', 'description', 'events', 'headers', 'maxConcurrency', 'ratePerSecond'] satisfies (keyof DraftErrors)[];

/** Shows the field errors that belong to no field of this form. */
function Elsewhere({ told }: { told: Record<string, string[]> }) {
  const others = Object.entries(told).filter(([field]) => !SHOWN.includes(field));
  if (others.length === 0) return null;
  return <Note tone="bad">{others.flatMap(([field, errors]) => errors.map((error) => <p key={field + error}>{`${field} ${error}`}</p>))}</Note>;
}
