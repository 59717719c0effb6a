// A field for a time in the zone of the switch. It is a text, because the browser's own field follows the browser's
// language and zone; the calendar button opens that one for people who like to pick.

import { useEffect, useRef, useState } from 'preact/hooks';
import { fromInput, toInput } from '../lib/local-input';
import { zone, zoneName } from '../lib/zone';
import { TextField } from './fields';
import { Icon } from './icon';

interface Props {
  label: string;
  /** RFC 3339, or an empty text. */
  value: string;
  /** Gets RFC 3339 once the text is a time, or an empty text when it was cleared. */
  onChange: (iso: string) => void;
  errors?: readonly string[];
  required?: boolean;
}

export function TimeField({ label, value, onChange, errors = [], required = false }: Props) {
  const [text, setText] = useState(toInput(value));
  const [left, setLeft] = useState(false);
  const picker = useRef<HTMLInputElement>(null);
  const own = useRef(value);
  useEffect(() => {
    if (value !== own.current) own.current = value;
    else if (fromInput(text)) return;
    setText(toInput(value));
  }, [value]);
  useEffect(() => setText(toInput(own.current)), [zone.value]);
  const change = (typed: string) => {
    setText(typed);
    setLeft(false);
    const iso = fromInput(typed);
    if (!iso && typed.trim()) return;
    own.current = iso;
    onChange(iso);
  };
  const isWrong = left && text.trim() !== '' && !fromInput(text);
  return (
    <div class="time-field">
      <TextField
        label={`${label} (${zoneName(value || Date.now())})`}
        value={text}
        placeholder="YYYY-MM-DD HH:MM"
        required={required}
        onChange={change}
        onLeave={() => setLeft(true)}
        errors={isWrong ? ['Enter a time such as 2026-11-24 10:07, or how long ago, such as 2h.'] : errors}
      />
      <button type="button" class="icon-button" aria-label={`Pick a time for ${label}`} onClick={() => picker.current?.showPicker()}>
        <Icon name="calendar" />
      </button>
      <input ref={picker} class="picker" {...({ type: 'datetime-local', step: 'any' } as unknown as { type: 'text' })} tabIndex={-1} aria-hidden="true" value={text.replace(' ', 'T')} onInput={(event) => change(event.currentTarget.value.replace('T', ' '))} />
    </div>
  );
}
