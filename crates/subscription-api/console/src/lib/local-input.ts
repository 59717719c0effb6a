// Converts times for inputs of type datetime-local, which use the reader's time zone.

/** Returns the value of an input, such as `2026-11-24T10:07`, or an empty text. */
export function toInput(iso: string): string {
  const at = new Date(iso);
  if (!iso || Number.isNaN(at.getTime())) return '';
  const local = new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}

export function fromInput(text: string): string {
  const at = new Date(text);
  return text && !Number.isNaN(at.getTime()) ? at.toISOString() : '';
}
