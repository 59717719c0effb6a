import { call } from './client';
import type { Me } from './types';

/** Who a token belongs to. */
export const readIdentity = (token: string) => call<Me>('GET', '/v1/me', { token });
