// Tasks that every page has to serve: addresses, the keyboard, phones, errors, times, refreshing, and the end of a token.

import assert from 'node:assert/strict';
import { asSupport, publish, request } from '../api.mjs';
import { address, button, link, settled, tab } from '../browser.mjs';
import { attempts, waitFor } from '../journey.mjs';
import { BRAND, ORDER } from './data.mjs';

const events = (page) => page.getByRole('table', { name: 'Events' });
const webhookPage = (id) => `/brands/${BRAND}/webhooks/${id}`;

/** 16. An address opens the same view in another tab, filters and the chosen attempt included, without signing in again. */
export async function openADeepLink({ owner, shop: { webhooks, events: { refund } } }) {
  const { page } = owner;
  await owner.begin(`${webhookPage(webhooks.refunds)}/events/${refund}`);
  await attempts(page).getByRole('button').last().click();
  await tab(page, 'Response').click();
  const response = (of) => of.getByRole('region', { name: 'Response body' }).getByText('the database is away').waitFor();
  await response(page);
  owner.step('address');
  const other = await page.context().newPage();
  await other.goto(page.url());
  await response(other);
  await other.goto(address(`/brands/${BRAND}/events?disposition=not_enabled&range=7d`));
  await settled(other);
  assert.equal(await other.getByLabel('What happened').inputValue(), 'not_enabled');
  assert.equal(await button(other, '7 d').getAttribute('aria-pressed'), 'true');
  await other.close();
  owner.step('link in a new tab');
  const opened = page.context().waitForEvent('page');
  await owner.click(link(page, 'All webhooks'), { modifiers: ['Control'] });
  const third = await opened;
  await third.getByRole('region', { name: 'Where is my event?' }).waitFor();
  await third.close();
  return owner.count;
}

/** 17. With the keyboard alone: the skip link, a search, the list, back to the same row, and a dialog. */
export async function useTheKeyboard({ owner, shop: { outage, webhooks } }) {
  const { page } = owner;
  // Events that are published meanwhile would add a button to the page.
  await outage;
  const focused = (read) => page.evaluate(read);
  await owner.begin();
  owner.step('open a webhook');
  await owner.search('name', 'Warehouse');
  await page.waitForURL(`**${webhookPage(webhooks.warehouse)}`);
  owner.step('open its third event');
  await events(page).locator('[data-index="2"]').waitFor();
  const isInList = () => focused(() => document.activeElement.closest('[data-index]')?.querySelector('a') === document.activeElement);
  for (let presses = 0; !(await isInList()); presses += 1) {
    assert.ok(presses < 40, 'the list is reached with Tab');
    await owner.press('Tab');
  }
  await owner.press('ArrowDown');
  await owner.press('ArrowDown');
  const title = await focused(() => document.activeElement.title);
  await owner.press('Enter');
  await page.waitForURL(`**/events/${title}`);
  await attempts(page).getByRole('listitem').first().waitFor();
  owner.step('go back to the list');
  await owner.goBack();
  await events(page).locator(`[title="${title}"]`).waitFor();
  const { count } = owner;

  // A link skips the navigation, and a dialog gives the focus back.
  await owner.begin(webhookPage(webhooks.orders));
  await page.getByRole('link', { name: /^Skip to/ }).focus();
  await page.keyboard.press('Enter');
  assert.equal(await focused(() => document.activeElement.id), 'page');
  await button(page, 'Pause…').focus();
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  assert.equal(await focused(() => document.activeElement.textContent), 'Pause…');
  return count;
}

const PHONE = { width: 390, height: 844 };
/** WCAG 2.2 asks for targets of at least this size. */
const MIN_TARGET_PX = 24;

/** 18. On a phone: no page scrolls sideways, links can be hit, and deliveries are on the first screens. */
export async function useAPhone({ owner }) {
  const { page } = owner;
  const size = page.viewportSize();
  const fits = async () => {
    await settled(page);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${page.url()}: ${overflow} px wider than the screen`);
  };
  /** Goes to a link or row and clicks it, if it is large enough for a finger. */
  const tap = async (target) => {
    const { height } = await target.boundingBox();
    assert.ok(height >= MIN_TARGET_PX, `${await target.textContent()} is ${height} px high`);
    await owner.click(target);
    await fits();
  };
  await page.setViewportSize(PHONE);
  try {
    await owner.begin();
    await fits();
    await tap(button(page, 'Menu'));
    await tap(link(page, 'Webhooks'));
    await tap(link(page, 'Orders'));
    const list = events(page);
    await list.locator('[data-index="0"]').waitFor();
    const { y } = await list.boundingBox();
    assert.ok(y < 1.5 * PHONE.height, `the list begins at ${Math.round(y)} px`);
    await tap(list.locator('[data-index="0"]'));
    await attempts(page).getByRole('listitem').first().waitFor();
    await fits();
    return owner.count;
  } finally {
    await page.setViewportSize(size);
  }
}

/** 20. Errors: old figures stay while the API is away, the page recovers by itself, and fields say what is wrong. */
export async function readErrors({ owner, shop: { webhooks } }) {
  const { page } = owner;
  await owner.begin(webhookPage(webhooks.orders));
  owner.step('the API is away');
  const away = page.getByRole('alert').filter({ hasText: 'The API does not answer.' }).first();
  await events(page).getByText('Delivered', { exact: true }).first().waitFor();
  await page.context().setOffline(true);
  try {
    await away.waitFor();
    await events(page).getByText('Delivered', { exact: true }).first().waitFor();
  } finally {
    await page.context().setOffline(false);
  }
  await away.waitFor({ state: 'detached' });
  await page.goto(address(`/brands/${BRAND}/events/01ARZ3NDEKTSV4RRFFQ69G5FAV`));
  await page.getByText(`No event of ${BRAND} has this id.`).waitFor();
  assert.equal(await page.getByRole('button', { name: /^Redeliver/ }).count(), 0, 'an unknown event offers no action');
  await page.goto(address());
  owner.step('an address that is refused');
  await owner.click(link(page, 'New webhook'));
  await owner.type('URL', 'https://10.0.0.1/', page.getByLabel('Endpoint'));
  await owner.click(page.getByLabel('ORDER', { exact: true }));
  await owner.click(button(page, 'Create the webhook'));
  await page.locator('.field.faulty', { hasText: 'Endpoint' }).locator('.field-errors p').waitFor();
  await page.waitForFunction(() => document.activeElement.getAttribute('aria-invalid') === 'true');
  assert.equal(await page.getByLabel('Endpoint').inputValue(), 'https://10.0.0.1/', 'the form keeps what was typed');
  return owner.count;
}

/** 21. One switch shows every time, column head and field in UTC. */
export async function switchToUtc({ owner, shop: { events: { order } } }) {
  const { page } = owner;
  const times = () => page.locator('main time').filter({ hasText: /\d{4}, / }).allInnerTexts();
  await owner.begin(`/brands/${BRAND}/events/${order}`);
  for (const time of await times()) assert.match(time, / (CET|CEST)$/);
  const sentence = page.getByRole('region', { name: 'Where is my event?' }).getByText(/^Delivered at/);
  assert.match(await sentence.textContent(), /^Delivered at [\d:]+ (CET|CEST) after/);
  await owner.click(button(page, 'UTC'));
  const { count } = owner;
  const shown = await times();
  assert.ok(shown.length >= 2 && shown.every((time) => time.endsWith(' UTC')), shown.join(' | '));
  assert.match(await sentence.textContent(), /^Delivered at [\d:]+ UTC after/);
  await page.goto(address(`/brands/${BRAND}/events`));
  await page.getByRole('columnheader', { name: 'Created (UTC)' }).waitFor();
  await button(page, 'Custom…').click();
  await page.getByLabel('From (UTC)').waitFor();
  await page.getByRole('group', { name: 'Time zone' }).getByRole('button').first().click();
  await page.getByRole('columnheader', { name: /^Created \((CET|CEST)\)$/ }).waitFor();
  return count;
}

/** 22. New events are announced and move nothing; the age of the figures shows, and the refresh can be paused. */
export async function watchTheRefresh({ owner, shop: { webhooks, token } }) {
  const { page } = owner;
  await owner.begin(webhookPage(webhooks.orders));
  owner.step('show new events');
  await page.getByText(/^Updated \d+ s ago$/).waitFor();
  await events(page).locator('[data-index="0"]').waitFor();
  const before = await events(page).boundingBox();
  const [id] = await publish(token, BRAND, 1, { type: ORDER, data: {} });
  const show = button(page, 'Show 1 new event');
  await show.waitFor();
  assert.deepEqual(await events(page).boundingBox(), before, 'nothing moved');
  await owner.click(show);
  await events(page).locator(`[data-index="0"]:has([title="${id}"])`).waitFor();
  owner.step('pause');
  await owner.click(button(page, 'Pause the refresh'));
  await page.getByText(/^Paused, \d+ s old$/).waitFor();
  const { count } = owner;
  await button(page, 'Pause the refresh').click();
  await page.getByText(/^Updated \d+ s ago$/).waitFor();
  return count;
}

/** 23. A token ends: the page says so, and returns after the next sign-in. */
export async function signInAgain({ visitor, visit, shop: { webhooks, token } }) {
  const { page } = visitor;
  const tokens = `/admin/v1/brands/${BRAND}/tokens`;
  const short = await asSupport('POST', tokens, { name: 'short-lived', role: 'write' });
  await visit(short.token);
  await visitor.begin(`${webhookPage(webhooks.refunds)}?status=delivered`);
  await events(page).locator('[data-index="0"]').waitFor();
  const url = page.url();
  await asSupport('DELETE', `${tokens}/${short.id}`);
  await page.getByText('Your token is no longer valid.').waitFor();
  assert.equal((await request(short.token, 'GET', '/v1/me')).status, 401);
  await visitor.type('token', token, page.getByLabel('Token', { exact: true }));
  await visitor.click(button(page, 'Sign in'));
  await events(page).locator('[data-index="0"]').waitFor();
  assert.equal(page.url(), url);
  await waitFor(async () => (await page.getByLabel('Status', { exact: true }).inputValue()) === 'delivered', 'the filter');
  return visitor.count;
}
