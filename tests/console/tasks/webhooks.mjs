// Tasks about webhooks: create one, see how it fares, and repair what an outage left behind.

import assert from 'node:assert/strict';
import { call, publish, request } from '../api.mjs';
import { button, link, tab, waitNotice } from '../browser.mjs';
import { waitFor } from '../journey.mjs';
import { BRAND, EMPTY_BRAND, FAILED_EVENTS, ORDER } from './data.mjs';
import { isSignedWith } from './events.mjs';

/** A job counts its events in pages, which have this size for a webhook with one request at a time. */
const JOB_PAGE = 16;
const attention = (page) => page.getByRole('table', { name: 'Needs attention' });
const jobs = (page) => page.getByRole('table', { name: 'Redelivery jobs' });

/** 5. The failed events of an outage: counted first, with progress, found again among the jobs, and cancelled. */
export async function resendAfterAnOutage({ owner, shop: { receiver, token, path, outage } }) {
  const { page } = owner;
  await outage;
  receiver.hold('/warehouse');
  await owner.begin();
  owner.step('start it');
  await owner.click(link(page, 'Webhooks'));
  await owner.click(link(page, 'Warehouse'));
  await owner.click(button(page, 'Redeliver a range…'));
  const dialog = page.getByRole('dialog');
  await owner.click(dialog.getByRole('button', { name: 'Count events' }));
  await dialog.getByText(`${FAILED_EVENTS} failed events will be redelivered.`).waitFor();
  await owner.click(dialog.getByRole('button', { name: `Redeliver ${FAILED_EVENTS} failed events` }));
  await dialog.getByText(`0 of ${FAILED_EVENTS} attempted`).waitFor();
  for (let n = 0; n < JOB_PAGE; n += 1) await waitFor(() => receiver.releaseOne('/warehouse'), `redelivery ${n}`);
  const progress = `${JOB_PAGE} of ${FAILED_EVENTS} attempted, 100% delivered`;
  await dialog.getByText(progress).waitFor();
  owner.step('find it again');
  await owner.click(dialog.getByRole('button', { name: 'Continue in the background' }));
  await owner.click(link(page, 'Jobs'));
  const row = jobs(page).getByRole('row').filter({ hasText: 'Warehouse' }).first();
  await row.getByText('Running', { exact: true }).waitFor();
  await row.getByText(progress).waitFor();
  owner.step('cancel it');
  await owner.click(row.getByRole('button', { name: 'Cancel…' }));
  await owner.click(dialog.getByRole('button', { name: 'Cancel the redelivery' }));
  await row.getByText('Cancelled', { exact: true }).waitFor();
  const left = async () => (await call(token, 'GET', `${path('warehouse')}/events?status=failed`)).items.length;
  await waitFor(async () => (await left()) > 0, 'the events that were not attempted are failed again');
  receiver.release('/warehouse');
  return owner.count;
}

/** 6. A new webhook whose requests can be verified: its secret is in view, with code in the reader's language. */
export async function createAWebhook({ owner, shop: { receiver, token } }) {
  const { page } = owner;
  await owner.begin();
  owner.step('create it');
  await owner.click(link(page, 'New webhook'));
  await owner.type('URL', receiver.url('/new'), page.getByLabel('Endpoint'));
  await owner.click(page.getByLabel('ORDER', { exact: true }));
  await owner.click(button(page, 'Create the webhook'));
  const secret = page.locator('.secret code.open');
  await secret.waitFor();
  const { y, height } = await secret.boundingBox();
  assert.ok(y + height < page.viewportSize().height, `the secret is in view, at ${y} px`);
  owner.step('code in Java');
  await owner.click(button(page, 'Java'));
  await page.getByRole('region', { name: 'Java: verify a request' }).getByText('webhook.verify(body').waitFor();
  owner.step('test it');
  await owner.click(button(page, 'Send a test event'));
  await page.locator('.awaited-line.good').getByText('The webhook works.').waitFor();
  const [received] = receiver.requests('/new');
  assert.ok(isSignedWith(await secret.textContent(), received), 'the secret that is shown verifies the request');
  await call(token, 'DELETE', `/v1/${BRAND}/webhooks/${page.url().split('/').at(-2)}`);
  return owner.count;
}

/** 7. A new secret, with an overlap that the page shows until it ends or is ended. */
export async function rotateASecret({ owner, shop }) {
  const { page } = owner;
  const { secret: old } = await call(shop.token, 'GET', `${shop.path('orders')}/secret`);
  await owner.begin();
  owner.step('rotate it');
  await owner.search('name', 'Orders');
  await owner.click(tab(page, 'Secret & test'));
  await owner.click(button(page, 'Rotate…'));
  await owner.click(page.getByRole('dialog').getByRole('button', { name: 'Rotate' }));
  const shown = page.locator('.secret code.open');
  const overlap = page.locator('.note', { hasText: 'The previous secret also signs until' });
  await overlap.waitFor();
  const current = await shown.textContent();
  assert.notEqual(current, old);
  await waitForOrder(shop, (order) => isSignedWith(current, order) && isSignedWith(old, order), 'both secrets sign');
  await page.reload();
  await overlap.getByText(/in \d+ hr|in 1 day/).waitFor();
  await page.getByText(/^Last rotated/).waitFor();
  owner.step('end the overlap');
  await owner.click(button(page, 'End now…'));
  await owner.click(page.getByRole('dialog').getByRole('button', { name: 'End the overlap' }));
  await overlap.waitFor({ state: 'detached' });
  await waitForOrder(shop, (order) => isSignedWith(current, order) && !isSignedWith(old, order), 'only the new secret signs');
  return owner.count;
}

/** Publishes orders until one arrives as it should, because deliverers read changes of a webhook every second or so. */
async function waitForOrder({ receiver, token }, isAsWanted, what) {
  const arrives = async () => {
    const [id] = await publish(token, BRAND, 1, { type: ORDER, data: {} });
    const find = () => receiver.requests('/orders').find(({ headers }) => headers['webhook-id'] === id);
    await waitFor(find, 'an order');
    return isAsWanted(find());
  };
  await waitFor(arrives, what);
}

/** 8. The endpoints that fail right now, since when, and whom to tell. */
export async function whichEndpointsFail({ support }) {
  const { page } = support;
  await support.begin();
  const row = attention(page).getByRole('row').filter({ hasText: 'Product feed' }).filter({ hasText: BRAND });
  await row.getByText('Failing', { exact: true }).waitFor();
  await row.getByText(/^(now|\d+ (sec|min)\.? ago)$/).first().waitFor();
  await row.getByRole('link', { name: 'Ada' }).waitFor();
  const heads = await attention(page).getByRole('columnheader').allInnerTexts();
  assert.deepEqual(heads, ['Webhook', 'Brand', 'State', 'Since', 'Disables', 'Waiting']);
  return support.count;
}

/** 14. The webhooks that will be disabled soon, and when, for support and for the brand. */
export async function whatWillBeDisabled({ support, owner }) {
  for (const user of [support, owner]) {
    await user.begin();
    const row = attention(user.page).getByRole('row').filter({ hasText: 'Product feed' }).filter({ hasText: user === support ? BRAND : '' });
    await row.filter({ hasText: /in about \d+ min/ }).waitFor();
  }
  assert.equal(support.count, owner.count);
  return owner.count;
}

/** 19. Pages without data say what to do, and show no empty charts; the first event appears by itself. */
export async function readEmptyPages({ visitor, visit, shop: { emptyToken: token, receiver } }) {
  const { page } = visitor;
  await visit(token);
  await page.getByText('First steps').waitFor();
  assert.equal(await page.locator('.plot-box').count(), 0, 'no empty chart');
  for (const [name, text] of [['Events', 'No event arrived in this time.'], ['Jobs', 'Nothing was redelivered yet.'], ['Webhooks', 'First steps']]) {
    await link(page, name).click();
    await page.getByText(text).first().waitFor();
  }
  const { id } = await call(token, 'POST', `/v1/${EMPTY_BRAND}/webhooks`, { endpoint: receiver.url('/first'), description: 'First', events: ['SHOP.ORDER'] });
  await visitor.begin();
  await visitor.click(link(page, 'Webhooks'));
  await visitor.click(link(page, 'First'));
  await page.getByText('No events in the last 7 days.').waitFor();
  await page.getByText('New events appear here by themselves.').waitFor();
  assert.equal(await page.locator('.plot-box').count(), 0, 'no empty chart');
  await publish(token, EMPTY_BRAND, 1, { type: ORDER, data: {} });
  await page.getByRole('table', { name: 'Events' }).getByText('Delivered', { exact: true }).waitFor();
  assert.equal((await request(token, 'GET', `/v1/${EMPTY_BRAND}/webhooks/${id}/events`)).body.items.length, 1);
  return visitor.count;
}
