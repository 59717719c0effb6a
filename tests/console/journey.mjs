// The whole life of a webhook, as its brand and support see it: created, tested, delivering, failing,
// disabled and enabled again, until its held events arrive.

import assert from 'node:assert/strict';
import { asSupport, call, publish, SMS } from './api.mjs';
import { address, button, link, readClipboard, settled, signIn, waitNotice, withBrowser } from './browser.mjs';
import { FAILED_DELIVERIES, SUPPORT_TOKEN } from './settings.mjs';

/** The attempts of an event's page. */
export const attempts = (page) => page.getByRole('navigation', { name: 'Attempts' });

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

  // One screen: the secret, code in the reader's language, and a line that turns green.
  await page.getByRole('heading', { name: 'Orders is created' }).waitFor();
  assert.match(await page.locator('.secret code').textContent(), /^whsec_/, 'the secret is shown');
  await button(page, 'Go').click();
  const code = await page.getByRole('region', { name: 'Go: verify a request' }).textContent();
  assert.match(code, /standardwebhooks\.NewWebhook/);
  await page.getByText('Waiting for the first event').waitFor();
  return page.url().split('/').at(-2);
}

/** The first test event turns the line green on the same screen; its response can be read. */
export async function brandTestsIt(page, { brand, receiver, path, webhook }) {
  await button(page, 'Send a test event').click();
  await page.locator('.outcome.good').getByText('responded with 200').waitFor();
  await page.locator('.awaited-line.good').getByText('The webhook works.').waitFor();
  assert.equal(receiver.at(path).length, 1);
  await page.locator('.awaited-line').getByRole('link', { name: 'Open the webhook' }).click();
  await page.getByRole('heading', { name: 'Orders', exact: true }).waitFor();
  await page.getByText(receiver.url(path), { exact: true }).waitFor();
  assert.ok(page.url().endsWith(`/brands/${brand}/webhooks/${webhook}`));
  // Deliveries are the first tab; the language is remembered.
  assert.equal(await page.getByRole('tab', { name: 'Deliveries' }).getAttribute('aria-selected'), 'true');
  assert.equal(await page.evaluate(() => localStorage.getItem('postrider.language')), 'go');
}

/** A new event is announced, shown on request, and has its time line. */
export async function anEventArrives(page, { brand, token, webhook }) {
  const show = page.getByRole('button', { name: /^Show \d+ new events?$/ });
  const list = page.getByRole('table', { name: 'Events' });
  await list.getByText('Test').waitFor();
  const before = await list.boundingBox();
  const [id] = await publish(token, brand, 1);
  await show.waitFor();
  assert.deepEqual(await list.boundingBox(), before, 'nothing moves when something new comes');
  await show.click();
  const row = page.locator(`[role="row"]:has([title="${id}"])`);
  await row.getByText('Delivered').waitFor();
  await row.getByRole('link').click();
  await page.getByRole('heading', { name: SMS }).waitFor();
  await page.getByText('12345678901234567890').first().waitFor();
  await attempts(page).getByText('First attempt').waitFor();
  await page.goto(address(`/brands/${brand}/webhooks/${webhook}`));
}

/** The endpoint fails until the platform disables the webhook; later events are held. */
export async function endpointFails(page, { brand, token, receiver, path, webhook }) {
  receiver.answer(path, 500, '{"error":"the database is away"}');
  await publish(token, brand, FAILED_DELIVERIES);
  const health = page.getByRole('region', { name: 'Health' });
  await health.getByText('too many deliveries in a row failed').waitFor();
  await health.getByRole('button', { name: 'Details' }).click();
  await health.getByText('ask support to enable').waitFor();
  assert.equal(await button(page, 'Enable…').count(), 0, 'a brand cannot enable it');
  await publish(token, brand, 2);
  const held = `/v1/${brand}/webhooks/${webhook}/events?status=held`;
  await waitFor(async () => (await call(token, 'GET', held)).items.length === 2, 'two held events');
  await page.getByLabel('Status', { exact: true }).selectOption('held');
  await page.locator('.virtual-space [role="row"]').nth(1).waitFor();
  assert.match(page.url(), /status=held/);
  await page.getByLabel('Status', { exact: true }).selectOption('failed');
  await page.locator('.virtual-space [role="row"] a').first().click();
  await attempts(page).getByRole('listitem').nth(2).waitFor();
  await page.getByRole('tab', { name: /^Response/ }).click();
  await page.getByText('the database is away').first().waitFor();
  await link(page, 'Overview').click();
  await page.getByText('Disabled').first().waitFor();
  await page.goto(address(`/brands/${brand}/webhooks/${webhook}`));
}

/** Support sees it at once, and enables it with a note; the held events arrive. */
export async function supportEnablesIt({ brand, receiver, path, webhook }) {
  receiver.answer(path, 200, 'thanks');
  const held = `/v1/${brand}/webhooks/${webhook}/events?status=held`;
  const waiting = (await asSupport('GET', held)).items.map(({ id }) => id);
  assert.ok(waiting.length > 0, 'events are held');
  await withBrowser({}, async (page) => {
    await signIn(page, SUPPORT_TOKEN);
    await link(page, 'Webhooks').click();
    await page.getByLabel('Status', { exact: true }).selectOption('disabled');
    await page.getByRole('table', { name: 'Webhooks' }).getByRole('link', { name: 'Orders' }).click();
    await button(page, 'Enable…').click();
    const dialog = page.getByRole('dialog');
    // The endpoint still fails: the dialog says so before anybody enables the webhook.
    receiver.answer(path, 500, '{"error":"still away"}');
    await dialog.getByRole('button', { name: 'Send a test event' }).click();
    await dialog.getByText('The endpoint still fails.').waitFor();
    await dialog.getByRole('button', { name: 'Enable anyway' }).waitFor();
    receiver.answer(path, 200, 'thanks');
    await dialog.getByRole('button', { name: 'Send another test event' }).click();
    await dialog.getByText('The endpoint works.').waitFor();
    await dialog.getByRole('button', { name: 'Enable', exact: true }).click();
    await dialog.locator('[aria-invalid="true"], .note.bad').first().waitFor();
    await dialog.getByLabel('Note').fill('Ada says it is fixed');
    await dialog.getByRole('button', { name: 'Enable', exact: true }).click();
    await waitNotice(page, 'held events are being redelivered');
    await page.getByRole('region', { name: 'Health' }).getByText('Disabled').waitFor({ state: 'detached' });
    await page.getByLabel('Status', { exact: true }).selectOption('held');
    // A row that was held a moment ago becomes delivered in place.
    await page.getByText(/No events match these filters|0 events|2 events in all/).first().waitFor();
    await page.waitForFunction(() => !document.querySelector('.virtual .badge.warn'));
    await link(page, 'Jobs').click();
    await page.getByRole('table', { name: 'Redelivery jobs' }).getByText('Held events').first().waitFor();
    await page.goto(address(`/audit?subject=${webhook}`));
    const log = page.locator('.audit > li');
    await log.filter({ hasText: 'Ada says it is fixed' }).getByText('enabled the webhook').waitFor();
    // The platform's own act is in the log, with its reason.
    await log.filter({ hasText: 'Postrider' }).filter({ hasText: 'disabled the webhook' }).first().waitFor();
  });
  // The badges went when the events were queued again; they arrive a moment later.
  await waitFor(async () => (await asSupport('GET', held)).items.length === 0, 'no event is held');
  await waitFor(async () => {
    const { items } = await asSupport('GET', `/v1/${brand}/webhooks/${webhook}/events?status=delivered&limit=1000`);
    return waiting.every((id) => items.some((event) => event.id === id));
  }, 'what was held');
}

/** The brand redelivers one event, a selection, and a range with its progress. */
export async function brandRedelivers(page, { brand, token, receiver, path, webhook }) {
  await page.goto(address(`/brands/${brand}/webhooks/${webhook}?status=failed`));
  await page.locator('.virtual-space [role="row"] a').first().click();
  await attempts(page).getByRole('listitem').first().waitFor();
  let before = receiver.at(path).length;
  await button(page, 'Redeliver').click();
  await attempts(page).getByText('Redelivery').waitFor();
  assert.equal(receiver.at(path).length, before + 1);

  // A webhook has one open job. The one of the held events stays open for a while after it, for events stored late.
  const running = `/v1/${brand}/webhooks/${webhook}/redeliver?state=running`;
  await waitFor(async () => (await call(token, 'GET', running)).items.length === 0, 'the job of the held events has ended', 150_000);
  await page.goto(address(`/brands/${brand}/webhooks/${webhook}`));
  before = receiver.at(path).length;
  const ticks = page.getByRole('checkbox', { name: /^Select event / });
  await ticks.nth(0).check();
  await ticks.nth(1).check();
  const requests = [];
  const count = (request) => request.method() === 'POST' && requests.push(request.url());
  page.on('request', count);
  await page.getByRole('region', { name: 'Selection' }).getByRole('button', { name: 'Redeliver' }).click();
  // Delivered events are sent again only after a question.
  const question = page.getByRole('dialog').getByRole('button', { name: 'Redeliver 2 events' });
  await question.or(page.getByRole('status').filter({ hasText: '2 events queued' })).first().waitFor();
  if (await question.isVisible()) await question.click();
  await waitNotice(page, '2 events queued for redelivery');
  page.off('request', count);
  assert.equal(requests.length, 1, 'one request for the whole selection');
  await waitFor(() => receiver.at(path).length >= before + 2, 'the selection');

  await button(page, 'Redeliver a range…').click();
  const dialog = page.getByRole('dialog');
  const status = dialog.getByLabel('Status', { exact: true });
  assert.equal(await status.inputValue(), 'failed', 'delivered events are not sent again unasked');
  assert.deepEqual(await status.locator('option').evaluateAll((all) => all.map(({ value }) => value)), ['failed', 'held', 'discarded', 'pending', 'delivered', 'all']);
  await status.selectOption('all');
  await dialog.getByRole('button', { name: 'Count events' }).click();
  await dialog.getByText('including delivered ones').waitFor();
  assert.ok(await dialog.getByRole('button', { name: /^Redeliver \d/ }).isDisabled(), 'it asks first');
  await dialog.getByLabel('Send delivered events again').waitFor();
  await status.selectOption('failed');
  await dialog.getByRole('button', { name: 'Count events' }).click();
  await dialog.getByText(/^\d+ failed events? will be redelivered\.$/).waitFor();
  const redeliver = dialog.getByRole('button', { name: /^Redeliver \d+ failed events?$/ });
  const done = dialog.getByText('Done: every event was attempted.');
  const redelivered = async () => {
    if (await redeliver.isVisible()) await redeliver.click({ timeout: 1000 }).catch(() => {});
    return done.isVisible();
  };
  await waitFor(redelivered, 'the range is redelivered', 150_000);
  await dialog.getByRole('button', { name: 'Close' }).click();
  await link(page, 'Jobs').click();
  await page.getByRole('table', { name: 'Redelivery jobs' }).getByText('Failed events').first().waitFor();
  await page.getByRole('table', { name: 'Redelivery jobs' }).getByText('Events of any status').first().waitFor();
  const left = await call(token, 'GET', `/v1/${brand}/webhooks/${webhook}/events?status=failed`);
  assert.equal(left.items.length, 0, 'everything that failed was delivered');
}

/** The brand shows the secret, pauses, edits and deletes. */
export async function brandManagesIt(page, { brand, token, receiver, path, webhook }) {
  await page.goto(address(`/brands/${brand}/webhooks/${webhook}?tab=secret`));
  await button(page, 'Show secret').click();
  await page.getByText('X-Shop: 1').waitFor();
  const secret = page.locator('.secret code.open');
  const first = await secret.textContent();
  await button(page, 'Copy Secret').click();
  assert.equal(await readClipboard(page), first);
  await button(page, 'Rotate…').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Rotate' }).click();
  const overlap = page.locator('.note', { hasText: 'The previous secret also signs until' });
  await overlap.waitFor();
  assert.match((await overlap.locator('p').innerText()).replace(/\s+/g, ' '), /until \d+ \w+ \d{4}, [\d:]+ \S+ \(in .*\)\.$/, 'one sentence');
  assert.notEqual(await secret.textContent(), first);
  await button(page, 'Hide').click();
  assert.equal(await secret.count(), 0);
  // The overlap is there after a reload, without the secret, and can be ended.
  await page.reload();
  await overlap.waitFor();
  assert.equal(await secret.count(), 0);
  await button(page, 'End now…').click();
  await page.getByRole('dialog').getByRole('button', { name: 'End the overlap' }).click();
  await waitNotice(page, 'no longer signs');
  await overlap.waitFor({ state: 'detached' });

  await button(page, 'Pause…').click();
  await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click();
  await page.getByRole('region', { name: 'Health' }).getByText('Paused').waitFor();
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
  await page.getByRole('tab', { name: 'Settings' }).click();
  await page.getByText('20 at a time').waitFor();
  const saved = await call(token, 'GET', `/v1/${brand}/webhooks/${webhook}`);
  assert.deepEqual([saved.maxConcurrency, saved.headers], [20, {}]);

  const more = button(page, 'More actions');
  await more.click();
  await page.getByRole('menuitem', { name: 'Delete…' }).click();
  const dialog = page.getByRole('dialog');
  assert.ok(await dialog.getByRole('button', { name: 'Delete for good' }).isDisabled());
  await page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'More actions', 'the focus comes back');
  await more.click();
  await page.getByRole('menuitem', { name: 'Delete…' }).click();
  // The name of the webhook, because several webhooks may share a host.
  await dialog.getByLabel('Type Orders to confirm').fill('Orders');
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
