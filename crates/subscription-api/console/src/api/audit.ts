// The audit log, of a brand or of the whole platform.

import { call, path, withQuery, type Query } from './client';
import type { AuditEntry, Page } from './types';

/** The audit log of a brand, or of the whole platform if there is none. */
export const listAudit = (brand: string | null, query: Query, signal?: AbortSignal) =>
  call<Page<AuditEntry>>('GET', withQuery(brand === null ? '/admin/v1/audit' : path`/v1/${brand}/audit`, query), { signal });
