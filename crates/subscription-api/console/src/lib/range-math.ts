// The arithmetic of time ranges; `time-range` ties them to the address.

export const PRESETS = { '1h': 3600, '24h': 86_400, '7d': 604_800 } as const;
export type Preset = keyof typeof PRESETS;

export interface TimeRange {
  /** Null if the reader chose the range. */
  preset: Preset | null;
  /** RFC 3339; the start belongs to the range. */
  from: string;
  /** RFC 3339; the end does not. A preset ends now. */
  to: string;
  /** The length of a chart's step. */
  stepSeconds: number;
  /** Identifies the range for caches. It does not change while a preset moves on. */
  key: string;
}

/** Steps that people count in, each a divisor of the next or of a day. */
const STEPS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400] as const;
/** Maximum number of steps of a chart, so that a bar stays visible on a phone. */
const MAX_STEPS = 72;
const LONGEST_STEP_SECONDS = 86_400;

export const stepFor = (seconds: number): number => STEPS.find((step) => seconds / step <= MAX_STEPS) ?? LONGEST_STEP_SECONDS;

const iso = (seconds: number) => new Date(seconds * 1000).toISOString();
const isTime = (text: string | null): text is string => !!text && !Number.isNaN(Date.parse(text));

/** Reads the range of an address. */
export function rangeOf(query: URLSearchParams, fallback: Preset, nowMs: number): TimeRange {
  const [from, to] = [query.get('from'), query.get('to')];
  const end = isTime(to) ? Date.parse(to) : nowMs;
  if (isTime(from) && Date.parse(from) < end) {
    const stepSeconds = stepFor((end - Date.parse(from)) / 1000);
    return { preset: null, from: new Date(from).toISOString(), to: new Date(end).toISOString(), stepSeconds, key: `${from}/${to ?? ''}` };
  }
  const given = query.get('range') ?? '';
  const preset: Preset = given in PRESETS ? (given as Preset) : fallback;
  const seconds = PRESETS[preset];
  return { preset, from: iso(Math.floor(nowMs / 1000) - seconds), to: iso(Math.floor(nowMs / 1000)), stepSeconds: stepFor(seconds), key: preset };
}

/** Widens a range to whole steps, so that a refresh changes only the last bar. For the statistics routes. */
export function wholeSteps({ from, to, stepSeconds }: TimeRange): { from: string; to: string; step: string } {
  const down = Math.floor(Date.parse(from) / 1000 / stepSeconds) * stepSeconds;
  const up = Math.ceil(Date.parse(to) / 1000 / stepSeconds) * stepSeconds;
  return { from: iso(down), to: iso(Math.max(up, down + stepSeconds)), step: `${stepSeconds}s` };
}
