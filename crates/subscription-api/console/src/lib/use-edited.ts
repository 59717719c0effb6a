// A text that the reader edits, and that follows a value from elsewhere, such as a filter in the address.

import { useEffect, useRef, useState } from 'preact/hooks';

/** Returns the text and its setter. The text changes with `value`, and not before: what was typed before the first paint stays. */
export function useEdited(value: string) {
  const [text, setText] = useState(value);
  const followed = useRef(value);
  useEffect(() => {
    if (followed.current === value) return;
    followed.current = value;
    setText(value);
  }, [value]);
  return [text, setText] as const;
}
