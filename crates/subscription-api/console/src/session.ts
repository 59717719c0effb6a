// The session of the reader, shared by the open tabs of the console.
//
// The token is kept in the sessionStorage of each tab, so that it ends with the last tab and a restart of the browser
// asks for it again. localStorage would write it to the disk, where it outlives the session and other users of the
// machine find it. A new tab therefore asks the open ones over a BroadcastChannel, and a tab that is signed in answers.
//
// The hand-over reaches no further than the storage does: a BroadcastChannel connects pages of one origin alone, pages
// of other origins that embed the console are refused (`frame-ancestors 'none'`), and no page of this origin runs a
// script that is not part of this binary (the content security policy). A script that could listen here could read
// sessionStorage as well. Messages are not stored. Signing out ends the session in every tab.

import { signal } from '@preact/signals';
import type { Me } from './api/types';
import { forgetPlaces } from './lib/places';

const KEY = 'postrider.token';
const CHANNEL = 'postrider.session';
/** How long a new tab waits for an open one. An open tab answers within milliseconds unless it is throttled. */
const HAND_OVER_TIMEOUT_MS = 400;

type Message = { is: 'ask' } | { is: 'token'; token: string } | { is: 'end'; token: string; why: string };

export interface Session {
  token: string;
  me: Me;
}

export const session = signal<Session | null>(null);
/** Why the last session ended, for the sign-in page. */
export const signOutReason = signal('');
/** The token that another tab handed over, to be verified before it is used. */
export const handedOver = signal<string | null>(null);

const channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel(CHANNEL);
const tell = (message: Message) => channel?.postMessage(message);

if (channel) {
  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    if (data.is === 'ask' && session.value) tell({ is: 'token', token: session.value.token });
    if (data.is === 'token' && !session.value) handedOver.value = data.token;
    // Another tab may have another identity, whose session goes on.
    if (data.is === 'end' && session.value?.token === data.token) clear(data.why);
  };
}

/** Returns the token that this tab stored before a reload. */
export const storedToken = (): string | null => sessionStorage.getItem(KEY);

/** Asks the other tabs for their session. Resolves with null if none answers in time. */
export async function askOtherTabs(): Promise<string | null> {
  if (!channel) return null;
  tell({ is: 'ask' });
  const end = Date.now() + HAND_OVER_TIMEOUT_MS;
  while (!handedOver.value && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
  return handedOver.value;
}

export function beginSession(token: string, me: Me): void {
  sessionStorage.setItem(KEY, token);
  signOutReason.value = '';
  handedOver.value = null;
  session.value = { token, me };
  // Tabs that show the sign-in page go on as well.
  tell({ is: 'token', token });
}

export function endSession(why = ''): void {
  if (session.value) tell({ is: 'end', token: session.value.token, why });
  clear(why);
}

function clear(why: string): void {
  sessionStorage.removeItem(KEY);
  forgetPlaces();
  handedOver.value = null;
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
