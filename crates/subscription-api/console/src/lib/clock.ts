// The current time for relative times. One timer updates the whole page every few seconds.

import { signal } from '@preact/signals';

export const now = signal(Date.now());
setInterval(() => {
  if (!document.hidden) now.value = Date.now();
}, 5000);
