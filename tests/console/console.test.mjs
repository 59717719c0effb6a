// The console in a real browser, against the real services. One file in order, because each step needs the
// ones before it, as for the people who use it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { asSupport, call, createBrand, publish, publishOverAmqp, request } from './api.mjs';
import { withBrowser } from './browser.mjs';
import * as events from './events.mjs';
import * as journey from './journey.mjs';
import * as many from './many.mjs';
import { docsAreConvenient, docsAreReadable, referenceIsComplete } from './docs.mjs';
import { lookAtAll } from './looks.mjs';
import { served } from './served.mjs';
import { startReceiver } from './receiver.mjs';
import { SUPPORT_TOKEN } from './settings.mjs';
import * as support from './support.mjs';
import * as tenancy from './tenancy.mjs';
import * as views from './views.mjs';

const BRAND = 'acme';
const PATH = '/orders';
const world = { brand: BRAND, path: PATH };

before(async () => {
  world.receiver = await startReceiver();
});

after(async () => {
  await world.receiver.stop();
});

/** True during a step and after a failed one, because later steps would fail, too. */
let broken = false;
const step = (name, run) =>
  test(name, async (t) => {
    if (broken) return t.skip('a step before it failed');
    broken = true;
    await run();
    broken = false;
  });

test('the console is served with a strict policy, compressed and cached', served);
test('the API reference shows every operation and the request to endpoints', referenceIsComplete);
test('the documentation has search, tabs, copy buttons, themes and a menu', docsAreConvenient);
test('axe finds nothing serious in the documentation, in light and dark, wide and narrow', docsAreReadable);

step('support creates a brand on an empty installation', async () => {
  world.token = await journey.supportCreatesABrand(BRAND);
});

step('a webhook goes through its whole life, and support enables it again', async () => {
  await withBrowser({}, async (page) => {
    world.webhook = await journey.brandCreatesAWebhook(page, world);
    await journey.brandTestsIt(page, world);
    await journey.anEventArrives(page, world);
    await journey.endpointFails(page, world);
    await journey.supportEnablesIt(world);
    await journey.brandRedelivers(page, world);
    await journey.brandManagesIt(page, world);
  });
});

step('support reads a deleted webhook', () => support.supportReadsADeletedWebhook(world));
step('support manages a brand', () => support.supportManagesABrand(world));
step('rejected events are republished as a group, by a job', () => support.rejectedEventsAreRepublished(world));
step("support reads a brand's page", () => support.supportReadsABrand(world));
step('support enables several webhooks after an incident', () => support.supportEnablesSeveral(world));

step('one brand sees nothing of another', async () => {
  // For the pages that follow, one webhook delivers and another has failed and is disabled.
  const make = (path) =>
    call(world.token, 'POST', `/v1/${BRAND}/webhooks`, { endpoint: world.receiver.url(path), events: ['NOTIFICATION'] });
  world.receiver.answer('/failing', 500, '{"error":"no"}');
  world.webhook = (await make('/fine')).id;
  const failing = await make('/failing');
  await publish(world.token, BRAND, 5);
  const path = `/v1/${BRAND}/webhooks/${failing.id}`;
  await journey.waitFor(async () => (await call(world.token, 'GET', path)).status === 'disabled', 'it is disabled');
  world.disabled = failing.id;
  world.event = (await call(world.token, 'GET', `${path}/events?status=failed`)).items[0].id;
  await publishOverAmqp(world.token, BRAND, 1, 'NO.SUCH.TYPE');

  await support.disablingATypeAsks(world);

  const token = await createBrand('globex');
  const { disabled, event } = world;
  const endpoint = world.receiver.url('');
  await tenancy.nothingOfAnother({ token, own: 'globex', other: BRAND, webhook: disabled, event, endpoint });
  const read = await asSupport('POST', `/admin/v1/brands/${BRAND}/tokens`, { name: 'reader', role: 'read' });
  await tenancy.readOnly({ token: read.token, brand: BRAND, webhook: world.webhook });
});

step('an event is found, explained and inspected', async () => {
  const [routed, dropped] = await findable(world);
  await events.searchFindsAnEvent({ token: SUPPORT_TOKEN, brand: BRAND, event: routed, key: 'order-1002', webhookName: '/fine' });
  const cases = [
    { event: routed, badge: 'Routed', answer: 'received it', rows: { '/fine': 'Delivered', '/failing': 'Held' } },
    { event: dropped, badge: 'Not enabled', answer: 'BILLING.INVOICE was not enabled for the brand' },
    { event: world.event, badge: 'Routed', answer: 'failed for good', rows: { '/fine': 'Delivered', '/failing': 'Failed' } },
  ];
  await events.lookupAnswers({ token: world.token, brand: BRAND, cases });
  await events.eventsOfABrand({ token: world.token, brand: BRAND, dropped });
  await events.payloadsAreReadable({ token: world.token, brand: BRAND, event: world.event, key: 'n', value: '12345678901234567890' });
  const inspected = { token: world.token, brand: BRAND, webhook: world.disabled, event: world.event };
  await events.attemptsAreInspected({ ...inspected, body: '"no"', url: world.receiver.url('/failing') });
});

/** Publishes an event with a key, and one of a type that is not enabled for the brand. Returns their ids. */
async function findable({ token }) {
  await asSupport('PUT', '/admin/v1/event-types/BILLING.INVOICE', { description: 'An invoice was made.' });
  const send = (event) => call(token, 'POST', `/v1/${BRAND}/events`, event);
  const data = { orderId: 'A-1002' };
  const { ids: [routed] } = await send({ type: 'NOTIFICATION.SMS.RECEIPT', key: 'order-1002', data });
  const { ids: [dropped] } = await send({ type: 'BILLING.INVOICE', data });
  const found = (id) => request(token, 'GET', `/v1/${BRAND}/events/${id}`);
  for (const id of [routed, dropped]) await journey.waitFor(async () => (await found(id)).status === 200, `event ${id}`);
  return [routed, dropped];
}

step('charts, times, the session and places on back', async () => {
  const own = `/brands/${BRAND}/webhooks/${world.disabled}/events/${world.event}`;
  await views.timesNameTheirZone({ token: world.token, path: own });
  await views.theSessionSpansTabs({ token: world.token });
  await views.chartsAnswer({ token: world.token });
  await publish(world.token, BRAND, 40);
  const listed = async () => (await call(world.token, 'GET', `/v1/${BRAND}/events?limit=40`)).items.length === 40;
  await journey.waitFor(listed, 'forty events in the list');
  await views.backKeepsThePlace({ token: world.token, path: `/brands/${BRAND}/events` });
});

step('axe finds nothing serious on any page, in light and dark, wide and narrow', async () => {
  await lookAtAll({ ...world, type: 'NOTIFICATION.SMS.RECEIPT' }, world.token);
});

step('support disables a webhook, and fifty thousand events of it scroll', async () => {
  const brand = 'initech';
  const token = await createBrand(brand);
  const endpoint = world.receiver.url('/never');
  const { id: webhook } = await call(token, 'POST', `/v1/${brand}/webhooks`, { endpoint, events: ['*'] });
  await support.supportDisables({ brand, webhook });
  await many.publishMany({ brand, token, webhook });
  await many.scrollThroughAll({ brand, token, webhook });
  assert.equal(world.receiver.at('/never').length, 0);
});
