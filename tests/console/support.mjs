// Support beside webhooks: the catalogue, and messages that were rejected because a type was missing.

import assert from 'node:assert/strict';
import { asSupport, publishOverAmqp } from './api.mjs';
import { signIn, withBrowser } from './browser.mjs';
import { waitFor } from './journey.mjs';
import { SUPPORT_TOKEN } from './settings.mjs';

const NEW_TYPE = 'NOTIFICATION.MAIL.BOUNCE';
const button = (page, name) => page.getByRole('button', { name, exact: true });
const waitNotice = (page, text) => page.getByRole('status').filter({ hasText: text }).waitFor();

export async function rejectedEventsAreRepublished({ brand, token }) {
  await publishOverAmqp(token, brand, 2, NEW_TYPE);
  await waitFor(async () => (await asSupport('GET', '/admin/v1/rejected')).total === 2, 'two rejected events');
  await withBrowser({}, async (page) => {
    await signIn(page, SUPPORT_TOKEN);
    await page.getByRole('link', { name: 'Rejected events' }).click();
    await page.getByText('unknown_type').first().waitFor();
    await page.getByText('The message').first().click();
    await page.getByText(NEW_TYPE).first().waitFor();

    await page.getByRole('link', { name: 'Catalogue' }).click();
    await button(page, 'New event type').click();
    await page.getByRole('dialog').getByLabel('Type').fill(NEW_TYPE);
    await button(page, 'Continue').click();
    await page.getByLabel('Description').fill('A mail came back.');
    await page.getByLabel('Example data').fill('{"n": 12345678901234567890');
    await button(page, 'Save').click();
    await page.getByText('This is not JSON yet').waitFor();
    await page.getByLabel('Example data').fill('{"n": 12345678901234567890}');
    await page.getByLabel('Data schema').fill('{"type": "object"}');
    await button(page, 'Save').click();
    await waitNotice(page, `${NEW_TYPE} is saved`);
    await page.reload();
    assert.match(await page.getByLabel('Example data').inputValue(), /12345678901234567890/, 'long numbers stay');

    await page.getByRole('link', { name: 'Rejected events' }).click();
    await button(page, 'Republish…').click();
    await page.getByRole('dialog').getByRole('button', { name: 'Republish' }).click();
    await waitNotice(page, '2 events republished');
    await page.getByText('Nothing is rejected.').waitFor();
  });
  const { total } = await asSupport('GET', '/admin/v1/rejected');
  assert.equal(total, 0);
}

/** Support disables a webhook with a reason that its brand reads. */
export async function supportDisables({ brand, webhook }) {
  await withBrowser({}, async (page) => {
    await signIn(page, SUPPORT_TOKEN, `/brands/${brand}/webhooks/${webhook}`);
    await button(page, 'Disable…').click();
    await page.getByLabel('Reason').fill('The owner asked for it');
    await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click();
    await page.getByText('Disabled: support').waitFor();
    await page.getByText('The owner asked for it').waitFor();
    await page.getByRole('link', { name: 'Webhooks', exact: true }).click();
    await page.getByLabel('Status').selectOption('disabled');
    await page.locator('.webhooks > li').first().getByText('Disabled').waitFor();
  });
}

/** Support can still read the events of a webhook that its brand deleted. */
export async function supportReadsADeletedWebhook({ brand, webhook }) {
  await withBrowser({}, async (page) => {
    await signIn(page, SUPPORT_TOKEN, '/audit');
    await page.getByRole('row').filter({ hasText: 'webhook.delete' }).getByRole('link', { name: webhook }).click();
    await page.getByText('This webhook no longer exists.').waitFor();
    await page.locator('.virtual-space [role="row"] a').first().click();
    await page.locator('.timeline li').first().waitFor();
    assert.equal(await page.getByRole('button', { name: 'Redeliver' }).count(), 0);
    assert.ok(page.url().includes(`/brands/${brand}/webhooks/${webhook}/events/`));
  });
}

/** Contact, switches and tokens of a brand. */
export async function supportManagesABrand({ brand }) {
  await withBrowser({}, async (page) => {
    await signIn(page, SUPPORT_TOKEN, `/brands/${brand}`);
    await page.getByLabel("Contact's email address").fill('grace@example.com');
    await button(page, 'Save').click();
    await waitNotice(page, 'The brand is saved');
    await page.getByLabel('Events per second').fill('0');
    await button(page, 'Save the quotas').click();
    await page.getByText('Enter a whole number from 1 to 1000000').waitFor();
    await page.getByLabel('Events per second').fill('100000');
    await button(page, 'Save the quotas').click();
    await waitNotice(page, 'The quotas are saved');
    await page.getByRole('navigation', { name: `Brand ${brand}` }).getByRole('link', { name: 'Tokens' }).click();
    await page.getByLabel('Name', { exact: true }).fill('to be deleted');
    await page.getByLabel('Role').selectOption('read');
    await button(page, 'Create a token').click();
    const token = await page.locator('.note code').textContent();
    await page.getByRole('button', { name: 'Delete token to be deleted' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await waitNotice(page, 'is deleted');
    const answer = await fetch(`${new URL(page.url()).origin}/v1/me`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(answer.status, 401);
  });
  const { contact, quotas } = await asSupport('GET', `/admin/v1/brands/${brand}`);
  assert.equal(contact.email, 'grace@example.com');
  assert.equal(quotas.eventsPerSecond, 100_000);
}
