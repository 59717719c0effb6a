// The signing secret of a webhook, and test events.

import { call, path } from './client';
import type { RotatedSecret, Secret } from './types';
import type { WebhookRef } from './webhooks';

const secretPath = ({ brand, webhook }: WebhookRef) => path`/v1/${brand}/webhooks/${webhook}/secret`;

export const readSecret = (ref: WebhookRef) => call<Secret>('GET', secretPath(ref));

export const rotateSecret = (ref: WebhookRef, overlapSeconds: number) =>
  call<RotatedSecret>('POST', `${secretPath(ref)}/rotate`, { body: { overlapSeconds } });

/** Ends the overlap of a rotation, so that only the new secret signs. */
export const endPreviousSecret = (ref: WebhookRef) => call<null>('POST', `${secretPath(ref)}/end-previous`);

/** Sends a test event as support, also to a webhook that is disabled. */
export const sendTestAsSupport = (webhook: string, type: string | null) =>
  call<{ eventId: string }>('POST', path`/admin/v1/webhooks/${webhook}/test`, { body: type ? { type } : {} });
