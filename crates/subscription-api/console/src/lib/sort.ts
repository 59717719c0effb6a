// The order of a table, which is part of the address: `?sort=brand`, or `?sort=-brand` for the other direction.

export type SortValue = string | number | null | undefined;

export function parseOrder(text: string): { by: string; descending: boolean } | null {
  const descending = text.startsWith('-');
  const by = descending ? text.slice(1) : text;
  return by ? { by, descending } : null;
}

const collator = new Intl.Collator('en', { numeric: true, sensitivity: 'base' });

/** Sorts without changing the rows. Rows without a value come last in both directions. */
export function sortRows<T>(rows: readonly T[], value: (row: T) => SortValue, descending: boolean): T[] {
  const sign = descending ? -1 : 1;
  const isMissing = (one: SortValue) => one === null || one === undefined || one === '';
  return [...rows].sort((a, b) => {
    const [x, y] = [value(a), value(b)];
    if (isMissing(x) || isMissing(y)) return Number(isMissing(x)) - Number(isMissing(y));
    if (typeof x === 'number' && typeof y === 'number') return sign * (x - y);
    return sign * collator.compare(String(x), String(y));
  });
}
