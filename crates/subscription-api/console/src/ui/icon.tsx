// Line icons of 16 by 16 units, drawn with the text's colour. They only repeat a label, so they are hidden from
// screen readers.

const PATHS = {
  search: 'M7 12.5a5.5 5.5 0 1 0 0-11 5.5 5.5 0 0 0 0 11ZM11 11l3.5 3.5',
  copy: 'M5.5 5.5h8v9h-8zM10.5 5.5v-4h-8v9h3',
  check: 'M2.5 8.5l4 4 7-9',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  more: 'M3 8h.01M8 8h.01M13 8h.01',
  up: 'M8 13.5v-11M3.5 7 8 2.5 12.5 7',
  down: 'M8 2.5v11M3.5 9 8 13.5 12.5 9',
  left: 'M10 3 5 8l5 5',
  right: 'M6 3l5 5-5 5',
  pause: 'M5 3v10M11 3v10',
  play: 'M4.5 2.5v11l9-5.5z',
  calendar: 'M2 3.5h12v11H2zM2 7h12M5 1.5v3M11 1.5v3',
  download: 'M8 1.5v9M4 7l4 4 4-4M2 14.5h12',
  event: 'M8.5 1.5 3 9h4.5L7 14.5 13 7H8.5z',
  webhook: 'M2 5.5h9.5a3 3 0 0 1 0 6H9v2.5M1.5 10.5h4.5',
  brand: 'M2 14.5v-12h7v12M9 6.5h5v8M1 14.5h14M4.5 5.5h2M4.5 8.5h2M4.5 11.5h2',
  type: 'M8.5 2 14 7.5 8 13.5 2.5 8V2zM5.5 5h.01',
  clock: 'M8 14.5a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM8 4.5V8l2.5 1.5',
  wrap: 'M2 3.5h12M2 8h9.5a2.25 2.25 0 0 1 0 4.5H8M10 10.5l-2 2 2 2M2 12.5h3',
  external: 'M9.5 2.5h4v4M13.5 2.5 7.5 8.5M12 9.5v4H2.5V4h4',
  refresh: 'M13.5 8a5.5 5.5 0 1 1-1.6-3.9M13.5 1.5v3.5H10',
} as const;
export type IconName = keyof typeof PATHS;

export const Icon = ({ name }: { name: IconName }) => (
  <svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
    <path d={PATHS[name]} />
  </svg>
);
