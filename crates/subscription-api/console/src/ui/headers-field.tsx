// The custom headers of a webhook: pairs of a name and a value.

import { useId } from 'preact/hooks';
import { header, type Header } from '../lib/webhook-draft';
import { Button } from './basics';
import { FieldErrors } from './fields';

const MAX_HEADERS = 20;

export function HeadersField({ headers, onChange, errors }: {
  headers: readonly Header[];
  onChange: (headers: Header[]) => void;
  errors: readonly string[];
}) {
  const id = useId();
  const set = (key: number, change: Partial<Header>) =>
    onChange(headers.map((h) => (h.key === key ? { ...h, ...change } : h)));
  const invalid = errors.length > 0 ? 'true' : undefined;
  return (
    <fieldset class={`field ${invalid ? 'faulty' : ''}`} aria-describedby={`${id}-errors`}>
      <legend>
        Custom headers <span class="optional">(optional)</span>
      </legend>
      <p class="hint">Sent with every request, for example an API key. At most {MAX_HEADERS}. A stored value is hidden and stays unless you enter another one.</p>
      {headers.map(({ key, name, value, stored }, n) => (
        <div class="pair" key={key}>
          <input
            class="mono"
            aria-label={`Name of header ${n + 1}`}
            aria-invalid={invalid}
            placeholder="X-Api-Key"
            value={name}
            spellcheck={false}
            onInput={(event) => set(key, { name: event.currentTarget.value })}
          />
          <input
            class="mono"
            aria-label={`Value of header ${n + 1}`}
            placeholder={stored ? '(hidden)' : 'value'}
            value={value}
            spellcheck={false}
            autoComplete="off"
            onInput={(event) => set(key, { value: event.currentTarget.value })}
          />
          <Button label={`Remove header ${n + 1}`} onClick={() => onChange(headers.filter((h) => h.key !== key))}>
            Remove
          </Button>
        </div>
      ))}
      <FieldErrors id={`${id}-errors`} errors={errors} />
      <Button disabled={headers.length >= MAX_HEADERS} onClick={() => onChange([...headers, header()])}>
        Add a header
      </Button>
    </fieldset>
  );
}
