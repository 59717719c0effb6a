// Redelivery jobs: of one webhook, of a brand, and for support of all brands.

import { call, path, withQuery, type Query } from './client';
import type { Page, RangeCount, RedeliveryJob, RedeliveryRange } from './types';
import type { WebhookRef } from './webhooks';

/** A job as the lists show it. */
export interface Job extends RedeliveryJob {
  webhookId: string;
  /** Omitted in a brand's own lists. */
  brandId?: string;
  trigger?: string;
  created: string;
  updated: string;
}

const jobsPath = ({ brand, webhook }: WebhookRef) => path`/v1/${brand}/webhooks/${webhook}/redeliver`;

/** Lists the jobs of a brand, or of all brands if there is none, newest first. */
export const listJobs = (brand: string | null, query: Query, signal?: AbortSignal) =>
  call<Page<Job>>('GET', withQuery(brand === null ? '/admin/v1/redeliveries' : path`/v1/${brand}/redeliveries`, query), { signal });

/** Lists the jobs of a webhook, newest first. */
export const listWebhookJobs = (ref: WebhookRef, query: Query, signal?: AbortSignal) =>
  call<Page<Job>>('GET', withQuery(jobsPath(ref), query), { signal });

export const readJob = (ref: WebhookRef, job: string, signal?: AbortSignal) =>
  call<Job>('GET', jobsPath(ref) + path`/${job}`, { signal });

export const cancelJob = (ref: WebhookRef, job: string) => call<null>('DELETE', jobsPath(ref) + path`/${job}`);

/** A job that was just created. */
export interface StartedJob {
  jobId: string;
  queued: number;
  /** Ids that the webhook has no event of any more; omitted if there are none. */
  unknown?: string[];
}

export const countRange = (ref: WebhookRef, body: RedeliveryRange) =>
  call<RangeCount>('POST', `${jobsPath(ref)}?dryRun=true`, { body });

export const redeliverRange = (ref: WebhookRef, body: RedeliveryRange) => call<StartedJob>('POST', jobsPath(ref), { body });

/** Redelivers up to 1,000 events by their ids, in one request and with one audit entry. */
export const redeliverIds = (ref: WebhookRef, ids: readonly string[]) =>
  call<StartedJob>('POST', jobsPath(ref), { body: { ids } });
