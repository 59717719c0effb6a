// Tasks about one event: why it did not arrive, what was sent, and how to send it again.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { promisify } from 'node:util';
import { call } from '../api.mjs';
import { button, readClipboard, tab, waitNotice } from '../browser.mjs';
import { attempts, waitFor } from '../journey.mjs';

const lookup = (page) => page.getByRole('region', { name: 'Where is my event?' });
/** The row of a webhook in the answer to "Where is my event?". */
const rowOf = (page, webhook) => lookup(page).getByRole('row').filter({ hasText: webhook });
const exchange = (page) => page.locator('.exchange');

/** Searches an event, and opens its attempts at a webhook. */
async function openAttempts(user, event, webhook) {
  await user.search('event id', event);
  await user.click(rowOf(user.page, webhook).getByRole('link', { name: /attempt/ }));
  await attempts(user.page).getByRole('listitem').first().waitFor();
}

/** Checks a signature of Standard Webhooks. */
export function isSignedWith(secret, { headers, body }) {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
  const signature = `v1,${createHmac('sha256', key).update(signed).digest('base64')}`;
  return headers['webhook-signature'].split(' ').includes(signature);
}

/** 1. Each reason for which an event did not arrive, for support and for the brand. */
export async function whyItDidNotArrive({ support, owner, shop: { events } }) {
  const cases = [
    // First, because its delivery is attempted after a minute.
    {
      event: events.waiting,
      badge: 'Routed',
      answer: /is waiting for it/,
      row: ['Reports', 'Queued', /Queued since .* behind \d other deliver\S+, because (the webhook gets one request at a time|the endpoint does not answer)\./],
    },
    { event: events.notEnabled, badge: 'Not enabled', answer: /SHOP\.INVOICE\.SENT was not enabled for the brand/ },
    { event: events.rejected, badge: 'Rejected', answer: /rejected this event \(unknown_type\)/ },
    { event: events.noWebhook, badge: 'No webhook', answer: /No active webhook of the brand subscribed/, row: ['Orders', 'Not subscribed', /subscribed to SHOP\.ORDER, not to SHOP\.GIFT\.SOLD/] },
    { event: events.order, badge: 'Routed', answer: /received it/, row: ['Backup', 'Paused', /was paused when the event was routed/] },
  ];
  const counts = new Set();
  for (const user of [support, owner]) {
    for (const { event, badge, answer, row } of cases) {
      await user.begin();
      await user.search('event id', event);
      await user.page.locator('.heading .badge').filter({ hasText: badge }).waitFor();
      await lookup(user.page).locator('.verdict').filter({ hasText: answer }).waitFor();
      if (row) {
        const [webhook, result, why] = row;
        await rowOf(user.page, webhook).getByText(result, { exact: true }).waitFor();
        await rowOf(user.page, webhook).filter({ hasText: why }).waitFor();
      }
      counts.add(user.count);
    }
  }
  assert.equal(counts.size, 1, [...counts].join(' | '));
  return owner.count;
}

/** 2. The request byte for byte, with headers and a signature that can be verified. */
export async function theExactRequest({ owner, shop }) {
  const { page } = owner;
  await owner.begin();
  await openAttempts(owner, shop.events.order, 'Orders');
  await owner.click(exchange(page).getByRole('group', { name: 'Form of Request body' }).getByRole('button', { name: 'Raw' }));
  const url = await exchange(page).locator('.request-line code').textContent();
  const body = await exchange(page).getByRole('region', { name: 'Request body' }).locator('pre').textContent();
  const pairs = await exchange(page).locator('.headers dl > div').evaluateAll((all) => all.map((one) => [one.querySelector('dt').textContent, one.querySelector('dd').textContent]));
  const headers = Object.fromEntries(pairs);
  const sent = shop.receiver.requests('/orders').find((request) => request.headers['webhook-id'] === shop.events.order);
  assert.equal(url, shop.receiver.url('/orders'));
  assert.equal(body, sent.body);
  for (const [name, value] of pairs) assert.equal(sent.headers[name.toLowerCase()], value, name);
  const { secret } = await call(shop.token, 'GET', `${shop.path('orders')}/secret`);
  assert.ok(isSignedWith(secret, { headers, body }), 'the signature that is shown fits');
  return owner.count;
}

/** 3. Two attempts side by side: a 500, and a 200 after it. */
export async function compareTwoAttempts({ owner, shop }) {
  const { page } = owner;
  await owner.begin();
  await openAttempts(owner, shop.events.refund, 'Refunds');
  await owner.click(tab(page, 'Compare'));
  const both = page.getByRole('table', { name: 'Both attempts' });
  const outcome = both.getByRole('row').filter({ hasText: 'Outcome' });
  await outcome.filter({ hasText: /500 Internal Server Error.*200 OK/ }).waitFor();
  await both.getByRole('row').filter({ hasText: 'Duration' }).waitFor();
  const response = exchange(page).getByRole('region', { name: 'Response: differences' });
  await response.locator('.removed').filter({ hasText: 'the database is away' }).waitFor();
  await response.locator('.added').filter({ hasText: 'thanks' }).waitFor();
  await exchange(page).getByRole('region', { name: 'Request: differences' }).locator('.added').filter({ hasText: 'webhook-timestamp' }).waitFor();
  return owner.count;
}

/** 4. One event again, from the page that says where it is. */
export async function resendOne({ owner, shop }) {
  const { page } = owner;
  const arrivals = () => shop.receiver.at('/orders').filter(({ id }) => id === shop.events.order).length;
  const before = arrivals();
  await owner.begin();
  await owner.search('event id', shop.events.order);
  await owner.click(button(page, 'Redeliver to Orders'));
  await waitNotice(page, 'queued for redelivery');
  await waitFor(() => arrivals() === before + 1, 'the redelivery');
  await rowOf(page, 'Orders').getByRole('link', { name: '2 attempts' }).waitFor();
  return owner.count;
}

/** 9. An event by its id, or by the key that the producer gave it. */
export async function findAnEvent({ support, shop }) {
  const { page } = support;
  const isFound = () => page.getByRole('region', { name: 'Data' }).getByText(`"${shop.orderId}"`).waitFor();
  await support.begin();
  support.step('by id');
  await support.search('event id', shop.events.order);
  await isFound();
  support.step('by key');
  await support.search('order number', shop.key);
  await isFound();
  assert.ok(page.url().endsWith(`/events/${shop.events.order}`), page.url());
  return support.count;
}

/** 24. A payload of 130 KB is folded, opens quickly, and can be searched to its last line. */
export async function readALongPayload({ owner, shop }) {
  const { page } = owner;
  await owner.begin();
  owner.step('search in it');
  await owner.search('event id', shop.events.large);
  const data = page.getByRole('region', { name: 'Data', exact: true });
  await data.getByText(/^1[23]\d\.\d KiB$/).waitFor();
  await data.getByText('12345678901234567890', { exact: true }).waitFor();
  assert.equal(await data.getByText('SKU-499').count(), 0, 'it is folded at first');
  await owner.type('text', 'SKU-499', data.getByRole('searchbox'));
  await data.getByText('1 of 1', { exact: true }).waitFor();
  await data.locator('mark.current').filter({ hasText: 'SKU-499' }).waitFor();
  // The match is scrolled into view after the next paint.
  await page.waitForFunction(() => {
    const mark = document.querySelector('mark.current');
    const [inner, outer] = [mark.getBoundingClientRect(), mark.closest('.body-code').getBoundingClientRect()];
    return inner.top >= outer.top && inner.bottom <= outer.bottom;
  });
  await data.getByRole('searchbox').fill('');
  await data.locator('mark').waitFor({ state: 'detached' });
  owner.step('unfold a part');
  await owner.click(data.getByRole('button', { name: 'lines, 500 elements' }));
  await data.getByText('"SKU-50"', { exact: true }).waitFor();
  await data.getByText('"Jürgen’s chair"').first().waitFor();
  await data.getByRole('button', { name: 'Show 100 more of 500' }).waitFor();
  owner.step('copy it');
  await owner.click(data.getByRole('button', { name: 'Copy Event data' }));
  await waitNotice(page, 'copied');
  const copied = await readClipboard(page);
  assert.ok(copied.length > 130_000 && copied.includes('"total":12345678901234567890'), `${copied.length} characters`);
  return owner.count;
}

/** 25. The curl command repeats the request, and its signature still fits. */
export async function copyAsCurl({ owner, shop }) {
  const { page } = owner;
  await owner.begin();
  await openAttempts(owner, shop.events.refund, 'Refunds');
  await owner.click(button(page, 'Copy as curl'));
  await waitNotice(page, 'curl command');
  const before = shop.receiver.requests('/refunds').length;
  // The certificate of the receiver is signed by an authority of the tests.
  await promisify(execFile)('bash', ['-c', `${await readClipboard(page)} --insecure --silent --show-error --noproxy '*' --max-time 20`]);
  const request = shop.receiver.requests('/refunds')[before];
  assert.equal(JSON.parse(request.body).id, shop.events.refund);
  const { secret } = await call(shop.token, 'GET', `${shop.path('refunds')}/secret`);
  assert.ok(isSignedWith(secret, request), 'the signature fits');
  return owner.count;
}
