// The session of the reader. The token lives in this tab's sessionStorage only.

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

/** Returns the token that this tab stored before a reload. */
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

/** Returns the identity of the reader. Pages are shown only while somebody is signed in. */
export function me(): Me {
  if (!session.value) throw new Error('nobody is signed in');
  return session.value.me;
}

export const isSupport = (): boolean => me().role === 'support';
export const mayWrite = (): boolean => me().role !== 'read';
