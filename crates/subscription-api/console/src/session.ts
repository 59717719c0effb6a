// Who is signed in. The token lives in this tab's sessionStorage and nowhere else.

import { signal } from '@preact/signals';
import type { Me } from './api/types';

const KEY = 'postrider.token';

export interface Session {
  token: string;
  me: Me;
}

export const session = signal<Session | null>(null);
/** Why the last session ended, for the sign-in page. */
export const signOutReason = signal('');

/** The token of this tab, from before a reload. */
export const storedToken = (): string | null => sessionStorage.getItem(KEY);

export function beginSession(token: string, me: Me): void {
  sessionStorage.setItem(KEY, token);
  signOutReason.value = '';
  session.value = { token, me };
}

export function endSession(why = ''): void {
  sessionStorage.removeItem(KEY);
  signOutReason.value = why;
  session.value = null;
}

/** Who is signed in; pages are only shown to somebody. */
export function me(): Me {
  if (!session.value) throw new Error('nobody is signed in');
  return session.value.me;
}

export const isSupport = (): boolean => me().role === 'support';
export const mayWrite = (): boolean => me().role !== 'read';
