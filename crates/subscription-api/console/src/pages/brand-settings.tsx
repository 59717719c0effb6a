// The settings of a brand, for support: name, contact and quotas.

import { useState } from 'preact/hooks';
import { editBrand, readBrand } from '../api/support';
import type { Brand } from '../api/types';
import { QUOTAS, toQuotaDraft, toQuotaPatch, validateQuotas, type QuotaName } from '../lib/quotas';
import { useResource } from '../lib/use-resource';
import type { PageProps } from '../router';
import { announce } from '../ui/announce';
import { Button, Card, ProblemNote, Loading } from '../ui/basics';
import { useRun } from '../ui/dialog';
import { TextField } from '../ui/fields';
import { BrandTabs, Heading } from '../ui/shell';

export function BrandSettings({ params: { brand = '' } }: PageProps) {
  const { data, problem, reload, set } = useResource((signal) => readBrand(brand, signal), [brand]);
  return (
    <>
      <Heading title={`Settings of ${brand}`} up={[['/brands', 'Brands']]}>
        <BrandTabs brand={brand} />
      </Heading>
      <ProblemNote problem={problem} retry={reload} />
      {!data && !problem && <Loading />}
      {data && (
        <div class="columns">
          <Card title="Name and contact">
            <ContactForm key={data.updated} brand={data} onChange={set} />
          </Card>
          <Card title="Quotas">
            <QuotasForm key={data.updated} brand={data} onChange={set} />
          </Card>
        </div>
      )}
    </>
  );
}
function ContactForm({ brand, onChange }: { brand: Brand; onChange: (brand: Brand) => void }) {
  const [name, setName] = useState(brand.name);
  const [contact, setContact] = useState(brand.contact ?? { name: '', email: '' });
  const { busy, problem, go } = useRun(async () => {
    const given = contact.name.trim() || contact.email.trim();
    const trimmed = { name: contact.name.trim(), email: contact.email.trim() };
    onChange(await editBrand(brand.brandId, { name: name.trim(), contact: given ? trimmed : null }));
    announce('The brand is saved.');
  });
  const errors = (pointer: string) =>
    (problem?.fieldErrors ?? []).filter((error) => error.pointer === pointer).map(({ detail }) => detail);
  const submit = (event: Event) => {
    event.preventDefault();
    void go();
  };
  return (
    <form onSubmit={submit}>
      <TextField label="Name" required value={name} onChange={setName} errors={errors('/name')} />
      <TextField label="Contact's name" value={contact.name} onChange={(name) => setContact({ ...contact, name })} errors={errors('/contact/name')} />
      <TextField label="Contact's email address" type="email" value={contact.email} onChange={(email) => setContact({ ...contact, email })} errors={errors('/contact/email')} hint="If both fields are empty, the brand has no contact." />
      {problem?.status !== 422 && <ProblemNote problem={problem} />}
      <div class="buttons">
        <Button type="submit" kind="main" busy={busy}>
          Save
        </Button>
      </div>
    </form>
  );
}

function QuotasForm({ brand, onChange }: { brand: Brand; onChange: (brand: Brand) => void }) {
  const [draft, setDraft] = useState(toQuotaDraft(brand.quotas));
  const [checked, setChecked] = useState(false);
  const { busy, problem, go } = useRun(async () => {
    onChange(await editBrand(brand.brandId, { quotas: toQuotaPatch(draft, brand.quotas) }));
    announce('The quotas are saved. They apply within about a second.');
  });
  const found = validateQuotas(draft);
  const errors = (name: QuotaName) => {
    if (checked && found[name]) return [found[name]];
    return (problem?.fieldErrors ?? []).filter(({ pointer }) => pointer === `/quotas/${name}`).map(({ detail }) => detail);
  };
  const submit = (event: Event) => {
    event.preventDefault();
    setChecked(true);
    if (Object.values(found).every((error) => error === '')) void go();
  };
  return (
    <form onSubmit={submit}>
      <p class="hint">Over HTTP, a brand over a quota gets the status 429. Over RabbitMQ, its surplus waits.</p>
      {QUOTAS.map(({ name, label, hint }) => (
        <TextField key={name} label={label} inputMode="numeric" hint={hint} value={draft[name]} onChange={(text) => setDraft({ ...draft, [name]: text })} errors={errors(name)} />
      ))}
      {problem?.status !== 422 && <ProblemNote problem={problem} />}
      <div class="buttons">
        <Button type="submit" kind="main" busy={busy}>
          Save the quotas
        </Button>
      </div>
    </form>
  );
}
