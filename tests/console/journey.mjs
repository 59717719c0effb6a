// The whole life of a webhook, as its brand and support see it: created, tested, delivering, failing,
// disabled and enabled again, until its held events arrive.

import assert from 'node:assert/strict';
import { asSupport, call, publish, SMS } from './api.mjs';
import { address, settled, signIn, withBrowser } from './browser.mjs';
import { FAILED_DELIVERIES, SUPPORT_TOKEN } from './settings.mjs';

const link = (page, name) => page.getByRole('link', { name, exact: true });
const button = (page, name) => page.getByRole('button', { name, exact: true });
const waitNotice = (page, text) => page.getByRole('status').filter({ hasText: text }).waitFor();

/** An empty installation leads support from nothing to a brand with a token. */
export async function supportCreatesABrand(brand) {
  return withBrowser({}, async (page) => {
    await page.goto(address());
    await page.getByLabel('Token', { exact: true }).fill('prt_wrong');
    await button(page, 'Sign in').click();
    await page.getByText('This token is not valid.').waitFor();
    await signIn(page, SUPPORT_TOKEN);
    await page.getByText('First steps').waitFor();

    await link(page, 'Create a brand').click();
    await page.getByLabel('Brand id').fill(`${brand} !`);
    await page.getByLabel('Name', { exact: true }).fill('The first brand');
    await button(page, 'Create the brand').click();
    await page.locator('[aria-invalid="true"]').first().waitFor();
    await page.getByLabel('Brand id').fill(brand);
    await page.getByLabel("Contact's name").fill('Ada');
    await page.getByLabel("Contact's email address").fill('ada@example.com');
    await button(page, 'Create the brand').click();

    // The brand goes on to the event types; the catalogue shows none as enabled.
    await page.getByText('No event types are enabled yet').waitFor();
    await button(page, 'Enable NOTIFICATION').click();
    await waitNotice(page, `NOTIFICATION is enabled for ${brand}`);

    await link(page, 'Tokens').click();
    await page.getByLabel('Name', { exact: true }).fill('console tests');
    await button(page, 'Create a token').click();
    const token = await page.locator('.note code').textContent();
    assert.match(token, /^prt_/);
    await button(page, 'I have it').click();
    await page.getByRole('rowheader', { name: 'console tests' }).waitFor();
    return token;
  });
}

/** The brand creates a webhook; each mistake shows at its field. Returns the id. */
export async function brandCreatesAWebhook(page, { brand, token, receiver, path }) {
  await signIn(page, token);
  await page.getByText('First steps').waitFor();
  await link(page, 'setup guide').click();
  const curl = await page.getByRole('region', { name: 'curl: publish an event' }).textContent();
  assert.ok(curl.includes(`/v1/${brand}/events`) && curl.includes(SMS) && curl.includes('$TOKEN'), curl);
  const amqp = await page.getByRole('region', { name: 'AMQP: publish an event' }).textContent();
  assert.ok(amqp.includes(`"brandId": "${brand}"`) && /exchange="\w+\.events"/.test(amqp), amqp);

  await link(page, 'Create it here').click();
  await button(page, 'Create the webhook').click();
  await page.getByText('Select at least one event type or group.').waitFor();
  await page.waitForFunction(() => document.activeElement.getAttribute('aria-invalid') === 'true');
  await page.getByLabel('Endpoint').fill('http://example.com/');
  await page.getByLabel('Endpoint').blur();
  await page.getByText('It must begin with https://.').waitFor();
  // An error that only the API can find appears at the same field.
  await page.getByLabel('Endpoint').fill('https://10.0.0.1/');
  await page.getByLabel('SMS', { exact: true }).check();
  assert.ok(await page.getByLabel('RECEIPT', { exact: true }).isChecked(), 'a group covers its types');
  await button(page, 'Create the webhook').click();
  await page.locator('.field.faulty', { hasText: 'Endpoint' }).waitFor();
  await page.getByLabel('Endpoint').fill(receiver.url(path));
  await page.getByLabel('Description').fill('Orders');
  await button(page, 'Add a header').click();
  await page.getByLabel('Name of header 1').fill('X-Shop');
  await page.getByLabel('Value of header 1').fill('1');
  await button(page, 'Create the webhook').click();

  await page.getByRole('heading', { name: receiver.url(path) }).waitFor();
  assert.match(await page.locator('.secret code').textContent(), /^whsec_/, 'the secret is shown once');
  await page.getByText('No events in the last seven days.').waitFor();
  return page.url().split('/').at(-1);
}

export async function brandTestsIt(page, { receiver, path }) {
  await button(page, 'Send a test event').click();
  await page.locator('.test-result').getByText('Delivered').first().waitFor();
  await page.locator('.test-result').getByText('Response body').click();
  await page.locator('.test-result').getByText('thanks').waitFor();
  assert.equal(receiver.at(path).length, 1);
}

/** A new event is announced, shown on request, and has its time line. */
export async function anEventArrives(page, { brand, token, webhook }) {
  const show = page.getByRole('button', { name: /^Show \d+ new events?$/ });
  await show.click(); // the test event
  const list = page.getByRole('table', { name: 'Events' });
  const before = await list.boundingBox();
  const [id] = await publish(token, brand, 1);
  await show.waitFor();
  assert.deepEqual(await list.boundingBox(), before, 'nothing moves when something new comes');
  await show.click();
  const row = page.locator(`[role="row"]:has([title="${id}"])`);
  await row.getByText('Delivered').waitFor();
  await row.getByRole('link').click();
  await page.getByRole('heading', { name: SMS }).waitFor();
  await page.getByText('12345678901234567890').waitFor();
  await page.locator('.timeline li.good').getByText('First attempt').waitFor();
  const time = page.locator('.timeline time').first();
  assert.match(await time.getAttribute('title'), /UTC$/);
  assert.notEqual(await time.textContent(), await time.getAttribute('title'));
  await page.goto(address(`/brands/${brand}/webhooks/${webhook}`));
}

/** The endpoint fails until the platform disables the webhook; later events are held. */
export async function endpointFails(page, { brand, token, receiver, path, webhook }) {
  receiver.answer(path, 500, '{"error":"the database is away"}');
  await publish(token, brand, FAILED_DELIVERIES);
  await page.getByText('Disabled: unresponsive').waitFor();
  await page.getByText('ask support to enable it').first().waitFor();
  assert.equal(await button(page, 'Enable…').count(), 0, 'a brand cannot enable it');
  await publish(token, brand, 2);
  const held = `/v1/${brand}/webhooks/${webhook}/events?status=held`;
  await waitFor(async () => (await call(token, 'GET', held)).items.length === 2, 'two held events');
  await page.getByLabel('Status').selectOption('held');
  await page.locator('.virtual-space [role="row"]').nth(1).waitFor();
  assert.match(page.url(), /status=held/);
  await page.getByLabel('Status').selectOption('failed');
  await page.locator('.virtual-space [role="row"] a').first().click();
  await page.locator('.timeline li.bad').nth(2).waitFor();
  await page.locator('.timeline').getByText('Response body').first().click();
  await page.getByText('the database is away').first().waitFor();
  await link(page, 'Overview').click();
  await page.getByText('is disabled').first().waitFor();
  await page.goto(address(`/brands/${brand}/webhooks/${webhook}`));
}

/** Support sees it at once, and enables it with a note; the held events arrive. */
export async function supportEnablesIt({ brand, receiver, path, webhook }) {
  receiver.answer(path, 200, 'thanks');
  const before = receiver.at(path).length;
  await withBrowser({}, async (page) => {
    await signIn(page, SUPPORT_TOKEN);
    await page.getByRole('table', { name: 'Disabled webhooks' }).getByRole('link', { name: receiver.url(path) }).click();
    await button(page, 'Enable…').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Enable' }).click();
    await dialog.locator('[aria-invalid="true"], .note.bad').first().waitFor();
    await dialog.getByLabel('Note').fill('Ada says it is fixed');
    await dialog.getByRole('button', { name: 'Enable' }).click();
    await waitNotice(page, 'held events are being redelivered');
    await page.locator('.tags').getByText('Active').waitFor();
    await page.getByLabel('Status').selectOption('held');
    // A row that was held a moment ago becomes delivered in place.
    await page.getByText(/No events match these filters|0 events|2 events in all/).first().waitFor();
    await page.waitForFunction(() => !document.querySelector('.virtual .badge.warn'));
    await link(page, 'Audit').click();
    await page.getByRole('row').filter({ hasText: 'webhook.enable' }).getByText(/fields/).click();
    await page.getByText('Ada says it is fixed').waitFor();
  });
  // The badges went when the events were queued again; they arrive a moment later.
  const held = `/v1/${brand}/webhooks/${webhook}/events?status=held`;
  await waitFor(async () => (await asSupport('GET', held)).items.length === 0, 'no event is held');
  await waitFor(() => receiver.at(path).length >= before + 2, 'what was held');
}

/** The brand redelivers one event, a selection, and a range with its progress. */
export async function brandRedelivers(page, { brand, token, receiver, path, webhook }) {
  await page.goto(address(`/brands/${brand}/webhooks/${webhook}?status=failed`));
  await page.locator('.virtual-space [role="row"] a').first().click();
  await page.locator('.timeline li').first().waitFor();
  let before = receiver.at(path).length;
  await button(page, 'Redeliver').click();
  await page.locator('.timeline li.good').getByText('Redelivery').waitFor();
  assert.equal(receiver.at(path).length, before + 1);

  await page.goto(address(`/brands/${brand}/webhooks/${webhook}`));
  before = receiver.at(path).length;
  const ticks = page.getByRole('checkbox', { name: /^Select event / });
  await ticks.nth(0).check();
  await ticks.nth(1).check();
  await page.getByRole('region', { name: 'Selection' }).getByRole('button', { name: 'Redeliver' }).click();
  await waitNotice(page, '2 events queued for redelivery');
  await waitFor(() => receiver.at(path).length >= before + 2, 'the selection');

  await button(page, 'Redeliver a range…').click();
  const dialog = page.getByRole('dialog');
  assert.equal(await dialog.getByLabel('Status').inputValue(), 'failed', 'delivered events are not sent again unasked');
  await dialog.getByLabel('Status').selectOption('all');
  await dialog.getByRole('button', { name: 'Count events' }).click();
  await dialog.getByText('including those that the endpoint has received already').waitFor();
  await dialog.getByLabel('Status').selectOption('failed');
  await dialog.getByRole('button', { name: 'Count events' }).click();
  await dialog.getByText(/^\d+ failed events? will be redelivered\.$/).waitFor();
  // A webhook has one open job. The one of the held events stays open for a while after it, for events stored late.
  const redeliver = dialog.getByRole('button', { name: 'Redeliver', exact: true });
  const done = dialog.getByText('Done: every event was attempted.');
  const redelivered = async () => {
    if (await redeliver.isVisible()) await redeliver.click({ timeout: 1000 }).catch(() => {});
    return done.isVisible();
  };
  await waitFor(redelivered, 'the range is redelivered', 150_000);
  await dialog.getByRole('button', { name: 'Close' }).click();
  const left = await call(token, 'GET', `/v1/${brand}/webhooks/${webhook}/events?status=failed`);
  assert.equal(left.items.length, 0, 'everything that failed was delivered');
}

/** The brand shows the secret, pauses, edits and deletes. */
export async function brandManagesIt(page, { brand, token, receiver, path, webhook }) {
  await page.goto(address(`/brands/${brand}/webhooks/${webhook}`));
  await button(page, 'Show secret').click();
  await page.getByText('X-Shop: 1').waitFor();
  const secret = page.locator('.secret code.open');
  const first = await secret.textContent();
  await button(page, 'Copy Secret').click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), first);
  await button(page, 'Rotate…').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click();
  await page.getByText('The previous secret also signs until').waitFor();
  assert.notEqual(await secret.textContent(), first);
  await button(page, 'Hide').click();
  assert.equal(await secret.count(), 0);

  await button(page, 'Pause…').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
  await page.getByText('It is paused').waitFor();
  await button(page, 'Resume').click();
  await waitNotice(page, 'active again');

  await link(page, 'Edit').click();
  await page.getByLabel('Requests at a time').fill('500');
  await button(page, 'Save').click();
  await page.getByText('Enter a whole number from 1 to 100.').waitFor();
  await page.getByLabel('Requests at a time').fill('20');
  assert.equal(await page.getByLabel('Value of header 1').inputValue(), '', 'a stored value is hidden');
  await button(page, 'Remove header 1').click();
  await button(page, 'Save').click();
  await page.getByText('20 at a time').waitFor();
  const saved = await call(token, 'GET', `/v1/${brand}/webhooks/${webhook}`);
  assert.deepEqual([saved.maxConcurrency, saved.headers], [20, {}]);

  await button(page, 'Delete…').click();
  const dialog = page.getByRole('dialog');
  assert.ok(await dialog.getByRole('button', { name: 'Delete for good' }).isDisabled());
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Delete…', 'the focus comes back');
  await button(page, 'Delete…').click();
  await dialog.getByLabel('Type localhost to confirm').fill('localhost');
  await dialog.getByRole('button', { name: 'Delete for good' }).click();
  await waitNotice(page, 'The webhook is deleted');
  await settled(page);
  assert.equal(await page.getByRole('link', { name: receiver.url(path) }).count(), 0);
}

export async function waitFor(holds, what, withinMs = 45_000) {
  for (let n = 0; n < withinMs / 100; n += 1) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`did not come: ${what}`);
}
