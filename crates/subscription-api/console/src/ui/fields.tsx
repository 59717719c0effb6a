// Form fields with a label, a hint and validation errors.

import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

interface Common {
  label: string;
  hint?: ComponentChildren;
  /** Validation errors. All errors of a field are shown. */
  errors?: readonly string[] | undefined;
  optional?: boolean;
  /** For toolbars: the label is small and above a low field. */
  compact?: boolean;
  /** For a few characters only. */
  short?: boolean;
}

interface Described {
  id: string;
  'aria-describedby': string | undefined;
  'aria-invalid': 'true' | undefined;
}

function Field({ label, hint, errors = [], optional, compact, short, children }: Common & { children: (given: Described) => ComponentChildren }) {
  const id = useId();
  const described = [hint && `${id}-hint`, errors.length > 0 && `${id}-errors`].filter(Boolean).join(' ');
  return (
    <div class={['field', errors.length > 0 && 'faulty', compact && 'compact', short && 'short'].filter(Boolean).join(' ')}>
      <label for={id}>
        {label}
        {optional && <span class="optional"> (optional)</span>}
      </label>
      {hint && (
        <div class="hint" id={`${id}-hint`}>
          {hint}
        </div>
      )}
      {children({
        id,
        'aria-describedby': described || undefined,
        'aria-invalid': errors.length > 0 ? 'true' : undefined,
      })}
      <FieldErrors id={`${id}-errors`} errors={errors} />
    </div>
  );
}

export const FieldErrors = ({ id, errors }: { id: string; errors: readonly string[] }) => (
  <div class="field-errors" id={id} aria-live="polite">
    {errors.map((error) => (
      <p key={error}>{error.charAt(0).toUpperCase() + error.slice(1)}</p>
    ))}
  </div>
);

interface TextProps extends Common {
  value: string;
  onChange: (value: string) => void;
  onLeave?: () => void;
  type?: 'text' | 'password' | 'email' | 'datetime-local';
  placeholder?: string;
  required?: boolean;
  autoComplete?: string;
  inputMode?: 'text' | 'numeric' | 'url' | 'email';
  mono?: boolean;
  focus?: boolean;
  /** Values that the browser suggests. */
  choices?: readonly (readonly [value: string, text: string])[];
}

export function TextField({ value, onChange, onLeave, type = 'text', placeholder, required, autoComplete = 'off', inputMode, mono, focus, choices, ...common }: TextProps) {
  const list = useId();
  return (
    <Field {...common}>
      {(given) => (
        <>
          <input
            {...given}
            // The type definitions tie ARIA roles to each type of input; these inputs have no role.
            {...({ type } as { type: 'text' })}
            class={mono ? 'mono' : undefined}
            value={value}
            placeholder={placeholder}
            required={required}
            autoComplete={autoComplete}
            autoFocus={focus}
            inputMode={inputMode}
            spellcheck={false}
            list={choices ? list : undefined}
            onInput={(event) => onChange(event.currentTarget.value)}
            onBlur={onLeave}
          />
          {choices && (
            <datalist id={list}>
              {choices.map(([choice, text]) => (
                <option key={choice} value={choice}>
                  {text}
                </option>
              ))}
            </datalist>
          )}
        </>
      )}
    </Field>
  );
}

export function AreaField({ value, onChange, rows = 4, mono, ...common }: Common & {
  value: string;
  onChange: (value: string) => void;
  rows?: number;
  mono?: boolean;
}) {
  return (
    <Field {...common}>
      {(given) => (
        <textarea
          {...given}
          class={mono ? 'mono' : undefined}
          rows={rows}
          spellcheck={!mono}
          value={value}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

export function SelectField({ value, onChange, options, ...common }: Common & {
  value: string;
  onChange: (value: string) => void;
  options: readonly (readonly [value: string, text: string])[];
}) {
  return (
    <Field {...common}>
      {(given) => (
        <select {...given} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
          {options.map(([option, text]) => (
            <option key={option} value={option}>
              {text}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

export function CheckField({ label, hint, checked, onChange }: {
  label: string;
  hint?: ComponentChildren;
  checked: boolean;
  onChange: (checked: boolean) => void;
}) {
  const id = useId();
  return (
    <div class="field check">
      <input
        type="checkbox"
        id={id}
        checked={checked}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <label for={id}>{label}</label>
      {hint && (
        <div class="hint" id={`${id}-hint`}>
          {hint}
        </div>
      )}
    </div>
  );
}

/** Moves the focus to the first invalid field of a form. */
export function focusFirstInvalid(form: HTMLElement | null): void {
  requestAnimationFrame(() => form?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus());
}
