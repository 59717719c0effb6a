// The current time for relative times, and whether pages refresh by themselves.

import { signal } from '@preact/signals';

export const now = signal(Date.now());
/** The current time to the second, for the age of the figures alone: every relative time of a page would be too much. */
export const second = signal(Date.now());
const NOW_INTERVAL_MS = 5000;
/** When the figures of the page were read last, in milliseconds; null on a page without live figures. */
export const refreshedAt = signal<number | null>(null);
/** Whether the reader stopped the refresh, for example to compare figures. */
export const paused = signal(false);

if (typeof document !== 'undefined') {
  setInterval(() => {
    if (document.hidden) return;
    second.value = Date.now();
    if (second.value - now.value >= NOW_INTERVAL_MS) now.value = second.value;
  }, 1000);
}
