// Tasks about brands and the people behind them: traffic, access, changes, exports, and the first hour of a brand.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { asSupport, call, publish, request } from '../api.mjs';
import { button, link, settled, waitNotice } from '../browser.mjs';
import { waitFor } from '../journey.mjs';
import { BRAND, FRESH_BRAND, ORDER } from './data.mjs';

const brandTab = (page, brand, name) => page.getByRole('navigation', { name: `Brand ${brand}` }).getByRole('link', { name, exact: true });
const DAY_MS = 86_400_000;

/** 10. The traffic of a brand per day, as a chart and as figures. */
export async function trafficPerDay({ support }) {
  const { page } = support;
  await support.begin();
  await support.search('brand', BRAND);
  const traffic = page.getByRole('region', { name: 'Traffic per day', exact: true });
  await traffic.getByText('per day, UTC').first().waitFor();
  await support.click(traffic.getByText('Figures as a table'));
  const attempted = traffic.getByRole('table', { name: 'Statistics' }).getByRole('row').last().getByRole('cell').first();
  const stat = page.locator('.stat').filter({ hasText: 'Delivered today (UTC)' }).locator('.figure');
  // Other tasks' events may be delivered meanwhile; the page reads its figures every minute.
  await waitFor(async () => {
    const today = new Date(Math.floor(Date.now() / DAY_MS) * DAY_MS);
    const query = `from=${today.toISOString()}&to=${new Date(today.getTime() + DAY_MS).toISOString()}&step=86400s`;
    const { items: [{ outcomes, events }] } = await asSupport('GET', `/v1/${BRAND}/stats?${query}`);
    const shown = [await attempted.textContent(), await stat.textContent()];
    return shown[0] === String(outcomes.delivered) && shown[1] === String(events.delivered);
  }, 'attempts and events that were delivered today', 90_000);
  return support.count;
}

/** 11. A named token of support: the audit names who acted, and the brand sees only that it was support. */
export async function signInWithMyName({ support, visitor, visit, owner }) {
  const { page } = support;
  await support.begin();
  support.step('create it');
  await support.click(link(page, 'Support tokens'));
  await support.type('name', 'Ada', page.getByLabel('Name', { exact: true }));
  await support.click(button(page, 'Create a token'));
  const created = support.count;
  const token = await page.locator('.note code').textContent();
  assert.match(token, /^prs_/);
  await page.getByRole('table', { name: 'Tokens' }).getByRole('row').filter({ hasText: 'Ada' }).waitFor();

  await visit(token);
  const own = visitor.page;
  await button(own, 'Sign out').click();
  await visitor.begin();
  visitor.step('sign in');
  await visitor.type('token', token, own.getByLabel('Token', { exact: true }));
  await visitor.click(button(own, 'Sign in'));
  const { count } = visitor;
  await own.locator('.who').filter({ hasText: /Support\s*· Ada/ }).waitFor({ state: 'attached' });
  await call(token, 'PATCH', `/admin/v1/brands/${BRAND}`, { quotas: { eventsPerSecond: 100_000 } });
  await visitor.begin(`/audit?brandId=${BRAND}&action=brand.change`);
  await own.locator('.audit > li').filter({ hasText: 'Ada (support) changed the brand' }).first().waitFor();
  // The filter knows everyone of support, also those who did nothing yet.
  await own.getByLabel('Who').selectOption({ label: 'Ada (support)' });
  await own.getByText(/^1 entry\. Times are in/).waitFor();
  await owner.begin(`/brands/${BRAND}/audit?action=brand.change`);
  await owner.page.locator('.audit > li').filter({ hasText: /^.*Support changed the brand/ }).first().waitFor();
  assert.equal(await owner.page.locator('.audit').getByText('Ada (support)').count(), 0);
  return `${created}; ${count}`;
}

/** 12. A brand's developer gives a colleague a token, with a name and an end. */
export async function tokenForAColleague({ owner, visitor, visit, shop }) {
  const { page } = owner;
  await owner.begin();
  await owner.click(link(page, 'Tokens'));
  await owner.type('token name', 'Grace', page.getByLabel('Name', { exact: true }));
  await owner.choose(page.getByLabel('Expires'), 'In 90 days');
  await owner.click(button(page, 'Create a token'));
  const { count } = owner;
  const token = await page.locator('.note code').textContent();
  const row = page.getByRole('table', { name: 'Tokens' }).getByRole('row').filter({ hasText: 'Grace' });
  await row.getByText(/^in (89|90) days$/).waitFor();
  await row.getByText('Never', { exact: true }).waitFor();
  assert.equal((await call(token, 'GET', '/v1/me')).name, 'Grace');
  const isUsed = async () => {
    const { items } = await call(shop.token, 'GET', `/v1/${BRAND}/tokens`);
    return items.find(({ name }) => name === 'Grace').lastUsedAt !== null;
  };
  await waitFor(isUsed, 'the use of the token');
  await page.reload();
  await row.waitFor();
  assert.equal(await row.getByText('Never', { exact: true }).count(), 0, 'its use shows');
  // The brand sees in its own log who gave access to whom.
  await owner.begin(`/brands/${BRAND}/audit`);
  await page.locator('.audit > li').filter({ hasText: 'tests (token) created the token Grace' }).waitFor();
  // A token that only reads sees the list, and is offered no change.
  const { token: reader } = await call(shop.token, 'POST', `/v1/${BRAND}/tokens`, { name: 'Reader', role: 'read' });
  await visit(reader);
  await visitor.begin(`/brands/${BRAND}/tokens`);
  await visitor.page.getByRole('table', { name: 'Tokens' }).getByRole('row').filter({ hasText: 'Grace' }).waitFor();
  for (const name of ['Create a token', 'Actions on token Grace']) assert.equal(await button(visitor.page, name).count(), 0, name);
  return count;
}

/** 13. Who changed what: a token by its name, with the fields before and after, and the platform itself. */
export async function whoChangedWhat({ support, owner, shop }) {
  await call(shop.token, 'PATCH', shop.path('refunds'), { maxConcurrency: 7 });
  const { page } = support;
  await support.begin();
  support.step('support');
  await support.click(link(page, 'Audit'));
  await support.type('brand', BRAND, page.getByLabel('Brand', { exact: true }));
  await support.choose(page.getByLabel('Action'), 'Webhook changed');
  await page.getByText(/^1 entry\. Times are in/).waitFor();
  const entry = page.locator('.audit > li').filter({ hasText: 'Refunds' });
  await entry.filter({ hasText: 'tests (token)' }).getByText('changed the webhook').waitFor();
  await support.click(entry.getByRole('button', { name: 'Show 1 field' }));
  await entry.getByRole('row').filter({ hasText: 'maxConcurrency' }).filter({ hasText: /10.*7/ }).waitFor();
  assert.match(page.url(), new RegExp(`brandId=${BRAND}.*action=webhook.change|action=webhook.change.*brandId=${BRAND}`));
  await owner.begin();
  owner.step('brand');
  await owner.click(link(owner.page, 'Audit'));
  const own = owner.page.locator('.audit > li');
  await own.filter({ hasText: /Postrider \(automatically\) disabled the webhook Archive/ }).waitFor();
  await own.filter({ hasText: 'Support enabled the event type SHOP.ORDER' }).waitFor();
  return `${support.count}; ${owner.count}`;
}

/** 15. A list as a file: all webhooks of the platform for support, and the events of a brand. */
export async function exportAList({ support, owner, shop }) {
  const download = async (user, name) => {
    const [file] = await Promise.all([user.page.waitForEvent('download'), user.click(button(user.page, 'Export CSV'))]);
    assert.match(file.suggestedFilename(), name);
    return readFile(await file.path(), 'utf8');
  };
  await support.begin();
  await support.click(link(support.page, 'Webhooks'));
  const webhooks = await download(support, /^webhooks-\d{4}-\d\d-\d\d\.csv$/);
  const [head, ...rows] = webhooks.trimEnd().split('\r\n');
  assert.match(head, /^\uFEFF?brand,id,description,endpoint,status,health/);
  for (const id of Object.values(shop.webhooks)) assert.ok(rows.some((row) => row.startsWith(`${BRAND},${id},`)), id);
  await owner.begin();
  await owner.click(link(owner.page, 'Events'));
  const events = await download(owner, /^events-/);
  assert.ok(events.includes(`${shop.events.order},${ORDER},${shop.key},`), events.slice(0, 500));
  assert.match(events, new RegExp(`${shop.events.rejected},.*rejected`));
  assert.equal(owner.count, support.count);
  const { count } = owner;
  await cancelExport(owner.page);
  return count;
}

/** A list that is long to read can be left. */
async function cancelExport(page) {
  const pages = /[?&]limit=1000/;
  await page.route(pages, () => {});
  await button(page, 'Export CSV').click();
  const cancel = button(page, 'Cancel the export');
  await cancel.click();
  await cancel.waitFor({ state: 'hidden' });
  assert.ok(await button(page, 'Export CSV').isEnabled());
  await page.unroute(pages);
}

/** 26. From nothing to a brand whose webhook received a real event: support's part, and the brand's. */
export async function onboardABrand({ support, visitor, visit, receiver }) {
  const { page } = support;
  await support.begin();
  support.step('support');
  await support.click(link(page, 'Brands'));
  await support.click(button(page, 'New brand'));
  await support.type('brand id', FRESH_BRAND, page.getByLabel('Brand id'));
  await support.type('name', 'A fresh brand', page.getByLabel('Name', { exact: true }));
  await support.click(button(page, 'Create the brand'));
  await support.click(button(page, 'Enable SHOP.ORDER'));
  await waitNotice(page, `SHOP.ORDER is enabled for ${FRESH_BRAND}`);
  await support.click(brandTab(page, FRESH_BRAND, 'Tokens'));
  await support.type('token name', 'first', page.getByLabel('Name', { exact: true }));
  await support.click(button(page, 'Create a token'));
  const token = await page.locator('.note code').textContent();

  await visit(token);
  const own = visitor.page;
  await visitor.begin();
  visitor.step('brand');
  await visitor.click(link(own, 'Create a webhook'));
  await visitor.type('URL', receiver.url('/fresh'), own.getByLabel('Endpoint'));
  await visitor.click(own.getByLabel('ORDER', { exact: true }));
  await visitor.click(button(own, 'Create the webhook'));
  await own.locator('.secret code.open').waitFor();
  await visitor.click(button(own, 'Send a test event'));
  await own.locator('.awaited-line.good').getByText('The webhook works.').waitFor();
  const [id] = await publish(token, FRESH_BRAND, 1, { type: ORDER, data: {} });
  await waitFor(async () => (await request(token, 'GET', `/v1/${FRESH_BRAND}/events/${id}`)).status === 200, 'the first real event');
  await visitor.click(own.locator('.awaited-line').getByRole('link', { name: 'Open the webhook' }));
  await own.locator(`[role="row"]:has([title="${id}"])`).getByText('Delivered', { exact: true }).waitFor();
  const { count } = visitor;
  await visitor.begin(`/brands/${FRESH_BRAND}/guide`);
  await settled(own);
  assert.equal(await own.getByText('Done', { exact: true }).count(), 2, 'the guide knows what is done');
  return `${support.count}; ${count}`;
}
