// Light or dark: the system's, unless the reader chose. The choice is no secret and may be kept.

import { effect, signal } from '@preact/signals';

export type Theme = 'system' | 'light' | 'dark';
const KEY = 'postrider.theme';

const stored = localStorage.getItem(KEY);
export const theme = signal<Theme>(stored === 'light' || stored === 'dark' ? stored : 'system');

const system = matchMedia('(prefers-color-scheme: dark)');
/** Counts up with every change of colours, for what is drawn and not styled. */
export const repaint = signal(0);
const changed = () => (repaint.value = repaint.peek() + 1);
system.addEventListener('change', changed);

effect(() => {
  const chosen = theme.value;
  if (chosen === 'system') {
    delete document.documentElement.dataset['theme'];
    localStorage.removeItem(KEY);
  } else {
    document.documentElement.dataset['theme'] = chosen;
    localStorage.setItem(KEY, chosen);
  }
  changed();
});

const probe = document.createElement('i');
probe.hidden = true;

/** The value of a colour as it is now: what light-dark() comes to is known of elements only. */
export const colour = (name: string): string => {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
};
