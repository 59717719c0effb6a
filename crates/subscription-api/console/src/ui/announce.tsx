// Announcements: messages that are shown for a few seconds and read out by screen readers.

import { signal } from '@preact/signals';

const SHOWN_MS = 6000;
const message = signal('');
let timer = 0;

export function announce(text: string): void {
  clearTimeout(timer);
  message.value = text;
  timer = setTimeout(() => (message.value = ''), SHOWN_MS);
}

export const Announcements = () => (
  <div class="announcements" role="status" aria-live="polite">
    {message.value && <p>{message.value}</p>}
  </div>
);
