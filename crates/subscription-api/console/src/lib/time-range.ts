// The time range of a page, which all its charts and lists share. It is part of the address: `?range=24h`, or
// `?from=…&to=…` for a range of the reader's own.

import { setQuery, where } from '../router';
import { now } from './clock';
import { rangeOf, type Preset, type TimeRange } from './range-math';

export { PRESETS, rangeOf, stepFor, wholeSteps, type Preset, type TimeRange } from './range-math';

/** The range of the current page. */
export const currentRange = (fallback: Preset): TimeRange => rangeOf(where.value.query, fallback, now.peek());

export const choosePreset = (preset: Preset): void => setQuery({ range: preset, from: '', to: '' });
/** A range of the reader's own is a step in the history, so that "back" undoes a selection in a chart. */
export const chooseRange = (from: string, to: string): void => setQuery({ range: '', from, to }, { push: true });
