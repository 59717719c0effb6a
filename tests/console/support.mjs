// Support beside webhooks: the catalogue, and messages that were rejected because a type was missing.

import assert from 'node:assert/strict';
import { asSupport, call, publishOverAmqp } from './api.mjs';
import { address, button, signIn, waitNotice, withBrowser } from './browser.mjs';
import { waitFor } from './journey.mjs';
import { SUPPORT_TOKEN } from './settings.mjs';

const NEW_TYPE = 'NOTIFICATION.MAIL.BOUNCE';

export async function rejectedEventsAreRepublished({ brand, token }) {
  await publishOverAmqp(token, brand, 2, NEW_TYPE);
  await waitFor(async () => (await asSupport('GET', '/admin/v1/rejected')).total === 2, 'two rejected events');
  await withBrowser({}, async (page) => {
    await signIn(page, SUPPORT_TOKEN);
    await page.getByRole('link', { name: 'Rejected events' }).click();
    const group = page.locator('.groups > li').filter({ hasText: NEW_TYPE });
    await group.getByText('Unknown event type').waitFor();
    await group.getByText('2', { exact: true }).waitFor();
    await group.getByRole('button', { name: 'Show a sample of Unknown event type' }).click();
    await group.getByRole('region', { name: 'Body of the rejected message' }).getByText(NEW_TYPE).waitFor();

    // The group leads to the page that fixes it.
    await group.getByRole('link', { name: 'Add the type' }).click();
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
    await page.getByRole('button', { name: `Republish Unknown event type ${NEW_TYPE}…` }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Republish' }).click();
    await waitNotice(page, 'The events are being republished');
    await page.getByText('Nothing is rejected.').waitFor();
    const job = page.getByRole('table', { name: 'Jobs on rejected events' }).getByRole('row').filter({ hasText: NEW_TYPE });
    await job.getByText('Finished').waitFor();
    await job.getByText('2 of 2').waitFor();
  });
  const { total } = await asSupport('GET', '/admin/v1/rejected');
  assert.equal(total, 0);
}

/** Support disables a webhook with a reason that its brand reads. */
export async function supportDisables({ brand, webhook }) {
  await withBrowser({}, async (page) => {
    await signIn(page, SUPPORT_TOKEN, `/brands/${brand}/webhooks/${webhook}`);
    await button(page, 'More actions').click();
    await page.getByRole('menuitem', { name: 'Disable…' }).click();
    await page.getByLabel('Reason').fill('The owner asked for it');
    await page.getByRole('dialog').getByRole('button', { name: 'Disable' }).click();
    const health = page.getByRole('region', { name: 'Health' });
    await health.getByText('support disabled it').waitFor();
    await health.getByRole('button', { name: 'Details' }).click();
    await page.getByText('The owner asked for it').waitFor();
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Webhooks', exact: true }).click();
    await page.getByLabel('Health').selectOption('disabled');
    await page.getByLabel('Brand', { exact: true }).fill(brand);
    await page.waitForURL((url) => url.searchParams.get('brand') === brand);
    const row = page.getByRole('table', { name: 'Webhooks' }).getByRole('row').filter({ hasText: brand });
    await row.getByText('Disabled').waitFor();
  });
}

/** Support can still read the events of a webhook that its brand deleted. */
export async function supportReadsADeletedWebhook({ brand, webhook }) {
  await withBrowser({}, async (page) => {
    await signIn(page, SUPPORT_TOKEN, '/audit');
    await page.getByLabel('Action').selectOption('webhook.delete');
    // A deleted webhook still has its name in the entry.
    await page.locator('.audit > li').filter({ hasText: 'deleted the webhook' }).getByRole('link', { name: 'Orders' }).click();
    await page.getByText('This webhook no longer exists.').waitFor();
    await page.locator('.virtual-space [role="row"] a').first().click();
    await page.getByRole('navigation', { name: 'Attempts' }).getByRole('listitem').first().waitFor();
    assert.equal(await page.getByRole('button', { name: 'Redeliver', exact: true }).count(), 0);
    assert.ok(page.url().includes(`/brands/${brand}/webhooks/${webhook}/events/`));
  });
}

/** Contact, switches and tokens of a brand. */
export async function supportManagesABrand({ brand }) {
  await withBrowser({}, async (page) => {
    await signIn(page, SUPPORT_TOKEN, `/brands/${brand}/settings`);
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
    await page.getByRole('row').filter({ hasText: 'to be deleted' }).getByText('Never').first().waitFor();
    await page.getByRole('button', { name: 'Actions on token to be deleted' }).click();
    await page.getByRole('menuitem', { name: 'Delete…' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
    await waitNotice(page, 'is deleted');
    const answer = await fetch(`${new URL(page.url()).origin}/v1/me`, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(answer.status, 401);
  });
  const { contact, quotas } = await asSupport('GET', `/admin/v1/brands/${brand}`);
  assert.equal(contact.email, 'grace@example.com');
  assert.equal(quotas.eventsPerSecond, 100_000);
}

/** A brand's page answers support's first questions: traffic, webhooks with health, tokens, contact and changes. */
export async function supportReadsABrand({ brand }) {
  await withBrowser({}, async (page) => {
    await signIn(page, SUPPORT_TOKEN, '/brands');
    await page.getByLabel('Find').fill(brand);
    await page.getByRole('table', { name: 'Brands' }).getByRole('row').filter({ hasText: brand }).getByRole('link').first().click();
    for (const card of ['Traffic per day', 'Webhooks', 'Contact', 'Tokens', 'Recent changes']) await page.getByRole('region', { name: card, exact: true }).waitFor();
    await page.getByRole('region', { name: 'Tokens', exact: true }).getByText(/^Used/).first().waitFor();
    // Exactly one entry of the navigation is current, also on the form of a new webhook.
    await page.goto(address(`/brands/${brand}/new-webhook`));
    const current = page.getByRole('navigation', { name: 'Main' }).locator('[aria-current="page"]');
    assert.deepEqual(await current.allInnerTexts(), ['Brands']);
  });
}

/** Disabling an event type asks first, with the webhooks that it concerns. */
export async function disablingATypeAsks({ brand }) {
  await withBrowser({}, async (page) => {
    await signIn(page, SUPPORT_TOKEN, `/brands/${brand}/event-types`);
    await button(page, 'Disable NOTIFICATION').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText(/\d+ webhooks? would receive less\./).waitFor();
    await dialog.getByText(/events? of it in the last 24 hours\./).waitFor();
    await dialog.getByRole('button', { name: 'Cancel' }).click();
  });
  const types = await asSupport('GET', `/v1/${brand}/event-types`);
  assert.ok(types.items.some(({ type, enabled }) => type.startsWith('NOTIFICATION.') && enabled), 'nothing was disabled');
}

/** After an incident several webhooks are enabled at once; an endpoint that still fails stays disabled. */
export async function supportEnablesSeveral({ brand, token, receiver }) {
  const make = async (path) => {
    const { id } = await call(token, 'POST', `/v1/${brand}/webhooks`, { endpoint: receiver.url(path), events: ['NOTIFICATION'], description: path.slice(1) });
    await asSupport('POST', `/admin/v1/webhooks/${id}/disable`, { detail: 'Incident' });
    return id;
  };
  receiver.answer('/broken', 500, 'no');
  const [well, broken] = [await make('/well'), await make('/broken')];
  await withBrowser({}, async (page) => {
    await signIn(page, SUPPORT_TOKEN, `/webhooks?status=disabled&brand=${brand}`);
    for (const name of ['well', 'broken']) await page.getByRole('checkbox', { name: `Select ${name} of ${brand}` }).check();
    await button(page, 'Enable 2 webhooks…').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Enable 2 webhooks' }).click();
    await dialog.getByText('Enter a note.').waitFor();
    await dialog.getByLabel('Note').fill('The incident is over');
    await dialog.getByRole('button', { name: 'Enable 2 webhooks' }).click();
    await dialog.getByText('Done: 1 of 2 webhooks enabled.').waitFor();
    await dialog.getByText('Still fails').waitFor();
  });
  const status = async (id) => (await asSupport('GET', `/v1/${brand}/webhooks/${id}`)).status;
  assert.deepEqual([await status(well), await status(broken)], ['active', 'disabled']);
  for (const id of [well, broken]) await call(token, 'DELETE', `/v1/${brand}/webhooks/${id}`);
}
