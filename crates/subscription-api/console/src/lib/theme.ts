// The theme: light, dark, or that of the system. A choice is kept in localStorage, because it is no secret.

import { effect, signal } from '@preact/signals';

export type Theme = 'system' | 'light' | 'dark';
const KEY = 'postrider.theme';

const stored = localStorage.getItem(KEY);
export const theme = signal<Theme>(stored === 'light' || stored === 'dark' ? stored : 'system');

const system = matchMedia('(prefers-color-scheme: dark)');
/** Changes whenever the colours change, so that canvas plots redraw. */
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

/** Returns the current value of a colour. Only elements resolve light-dark(), so this asks a hidden one. */
export const colour = (name: string): string => {
  if (!probe.isConnected) document.body.append(probe);
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
};
