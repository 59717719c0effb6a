// Tokens: those of a brand, which support and the brand manage with the same routes, and the named ones of support.

import { call, path, withQuery, type Query } from './client';
import type { CreatedToken, Page, SupportToken, Token } from './types';

export interface NewToken {
  name: string;
  role?: string;
  expires?: string;
}

export const listTokens = (brand: string, query: Query, signal?: AbortSignal) =>
  call<Page<Token>>('GET', withQuery(path`/v1/${brand}/tokens`, query), { signal });

export const createToken = (brand: string, body: NewToken) => call<CreatedToken>('POST', path`/v1/${brand}/tokens`, { body });

export const deleteToken = (brand: string, token: string) => call<null>('DELETE', path`/v1/${brand}/tokens/${token}`);

export const listSupportTokens = (query: Query, signal?: AbortSignal) =>
  call<Page<SupportToken>>('GET', withQuery('/admin/v1/tokens', query), { signal });

export const createSupportToken = (body: NewToken) => call<CreatedToken>('POST', '/admin/v1/tokens', { body });

export const deleteSupportToken = (token: string) => call<null>('DELETE', path`/admin/v1/tokens/${token}`);
