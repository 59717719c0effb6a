import { call } from './client';
import type { Me } from './types';

/** Reads the brand and the role of a token. */
export const readIdentity = (token: string) => call<Me>('GET', '/v1/me', { token });
