// The console in a real browser, against the real services. One file in order, because each step needs the
// ones before it, as for the people who use it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { asSupport, call, createBrand, publish, publishOverAmqp } from './api.mjs';
import { withBrowser } from './browser.mjs';
import * as journey from './journey.mjs';
import * as many from './many.mjs';
import { docsAreReadable, referenceIsComplete } from './docs.mjs';
import { lookAtAll } from './looks.mjs';
import { served } from './served.mjs';
import { startReceiver } from './receiver.mjs';
import * as support from './support.mjs';
import * as tenancy from './tenancy.mjs';

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
test('the API reference shows every operation, without scripts', referenceIsComplete);
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
step('rejected events are republished', () => support.rejectedEventsAreRepublished(world));

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

  const token = await createBrand('globex');
  const { disabled, event } = world;
  const endpoint = world.receiver.url('');
  await tenancy.nothingOfAnother({ token, own: 'globex', other: BRAND, webhook: disabled, event, endpoint });
  await tenancy.theTokenStaysInItsTab({ token });
  const read = await asSupport('POST', `/admin/v1/brands/${BRAND}/tokens`, { name: 'reader', role: 'read' });
  await tenancy.readOnly({ token: read.token, brand: BRAND, webhook: world.webhook });
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
