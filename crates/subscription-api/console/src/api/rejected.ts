// The events that the router rejected. Support only.

import { call, path, withQuery, type Query } from './client';
import type { Page, Rejected, RejectedGroup, RejectedJob } from './types';

/** Narrows rejected events; null is any. */
export interface GroupFilter {
  brandId: string | null;
  reason: string | null;
  type: string | null;
}

export interface RejectedSummary {
  items: RejectedGroup[];
  dropped: RejectedGroup[];
  total: number;
  complete: boolean;
}

export const summarizeRejected = (signal?: AbortSignal) => call<RejectedSummary>('GET', '/admin/v1/rejected/summary', { signal });

export const listRejected = (query: Query, signal?: AbortSignal) =>
  call<Page<Rejected> & { total: number; complete: boolean }>('GET', withQuery('/admin/v1/rejected', query), { signal });

const given = (filter: GroupFilter) => Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== null)) as Record<string, string>;

/** Starts a job that publishes the events again. */
export const republishRejected = (filter: GroupFilter) =>
  call<RejectedJob>('POST', '/admin/v1/rejected/republish', { body: given(filter) });

/** Starts a job that deletes the events. */
export const deleteRejected = (filter: GroupFilter) =>
  call<RejectedJob>('DELETE', withQuery('/admin/v1/rejected', given(filter)));

export const listRejectedJobs = (query: Query, signal?: AbortSignal) =>
  call<Page<RejectedJob>>('GET', withQuery('/admin/v1/rejected/jobs', query), { signal });

export const cancelRejectedJob = (job: string) => call<null>('DELETE', path`/admin/v1/rejected/jobs/${job}`);
