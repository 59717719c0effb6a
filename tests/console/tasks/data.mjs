// A shop whose webhooks are in every state that the tasks ask about. Everything is prepared over the API.

import assert from 'node:assert/strict';
import { asSupport, call, createBrand, publish, publishOverAmqp, request } from '../api.mjs';
import { waitFor } from '../journey.mjs';

/** Makes names unique, so that the tests can run again on the same platform. */
const RUN = Date.now().toString(36);

export const BRAND = `shop-${RUN}`;
/** A brand that support creates in the console. */
export const FRESH_BRAND = `fresh-${RUN}`;
/** A brand without webhooks. */
export const EMPTY_BRAND = `empty-${RUN}`;
const UNKNOWN_TYPE = `SHOP.UNKNOWN_${RUN.toUpperCase()}`;
export const ORDER = 'SHOP.ORDER.PAID';
const STOCK = 'SHOP.STOCK.LOW';
/** A type that is in the catalogue and not enabled for the shop. */
const INVOICE = 'SHOP.INVOICE.SENT';
/** A type that is enabled and to which no webhook of the shop subscribes. */
const GIFT = 'SHOP.GIFT.SOLD';

/** The webhooks of the shop, by the path of the endpoint. Each group of types goes to one of them. */
const WEBHOOKS = {
  orders: { description: 'Orders', group: 'SHOP.ORDER', type: ORDER },
  backup: { description: 'Backup', group: 'SHOP.ORDER', type: ORDER },
  refunds: { description: 'Refunds', group: 'SHOP.REFUND', type: 'SHOP.REFUND.SENT' },
  reports: { description: 'Reports', group: 'SHOP.REPORT', type: 'SHOP.REPORT.READY', maxConcurrency: 1 },
  warehouse: { description: 'Warehouse', group: 'SHOP.STOCK', type: STOCK, maxConcurrency: 1 },
  feed: { description: 'Product feed', group: 'SHOP.FEED', type: 'SHOP.FEED.CHANGED' },
  archive: { description: 'Archive', group: 'SHOP.ARCHIVE', type: 'SHOP.ARCHIVE.CLOSED' },
};

/** Failed events of the warehouse, in rounds with a success in between, because three failures in a row disable it. */
const OUTAGE_ROUNDS = 9;
export const FAILED_EVENTS = 2 * OUTAGE_ROUNDS;

/** Events for an endpoint that does not answer. Each attempt takes 15 s, so that the last event waits for a minute at least. */
const WAITING_EVENTS = 6;

const EXAMPLE = { orderId: 'A-1', total: '12.50' };

async function prepareCatalogue() {
  const types = new Set([...Object.values(WEBHOOKS).map(({ type }) => type), INVOICE, GIFT]);
  const put = (type) => asSupport('PUT', `/admin/v1/event-types/${type}`, { description: `An example of a shop: ${type}`, example: EXAMPLE });
  await Promise.all([...types].map(put));
}

/** Creates a brand that may receive all groups of the webhooks, and returns its token. */
const createShop = (brandId) => createBrand(brandId, { enable: [...new Set(Object.values(WEBHOOKS).map(({ group }) => group)), GIFT] });

/** Creates the webhooks of the shop, and returns their ids by name. */
async function createWebhooks(token, receiver) {
  const ids = {};
  for (const [name, { group, type, ...fields }] of Object.entries(WEBHOOKS)) {
    const webhook = { ...fields, endpoint: receiver.url(`/${name}`), events: [group], enabled: name !== 'backup' };
    ids[name] = (await call(token, 'POST', `/v1/${BRAND}/webhooks`, webhook)).id;
  }
  return ids;
}

/** Prepares the shop with its events, and returns what the tasks need. */
export async function prepareShop(receiver) {
  await prepareCatalogue();
  const [token, emptyToken] = await Promise.all([createShop(BRAND), createShop(EMPTY_BRAND)]);
  const webhooks = await createWebhooks(token, receiver);
  const shop = { receiver, token, emptyToken, webhooks, events: {}, path: (name) => `/v1/${BRAND}/webhooks/${webhooks[name]}` };
  // It takes longest, and other tasks can be done meanwhile. The task that needs it reports a failure.
  shop.outage = prepareOutage(shop);
  shop.outage.catch(() => {});
  const work = [prepareOrder, prepareLost, prepareRefund, prepareReports, prepareFeed, prepareArchive, prepareLargeOrder];
  await Promise.all(work.map((prepare) => prepare(shop)));
  return shop;
}

/** Publishes one event and returns its id once the router has stored it. */
async function publishOne(token, brand, event) {
  const { ids: [id] } = await call(token, 'POST', `/v1/${brand}/events`, event);
  await waitFor(async () => (await request(token, 'GET', `/v1/${brand}/events/${id}`)).status === 200, `event ${id}`);
  return id;
}

/** Waits until the deliveries of a webhook have a status, and returns their number. */
function waitForDeliveries({ token, path }, name, status, number) {
  const list = `${path(name)}/events?status=${status}`;
  return waitFor(async () => (await call(token, 'GET', list)).items.length >= number, `${number} ${status} deliveries of ${name}`);
}

/** An order that arrived, with a key to search for. */
async function prepareOrder(shop) {
  shop.orderId = `A-${RUN}`;
  shop.key = `order-${RUN}`;
  const data = { orderId: shop.orderId, total: '12.50' };
  shop.events.order = await publishOne(shop.token, BRAND, { type: ORDER, key: shop.key, data });
  await waitForDeliveries(shop, 'orders', 'delivered', 1);
}

/** Events that no webhook received, each for another reason. */
async function prepareLost(shop) {
  shop.events.notEnabled = await publishOne(shop.token, BRAND, { type: INVOICE, data: EXAMPLE });
  shop.events.noWebhook = await publishOne(shop.token, BRAND, { type: GIFT, data: EXAMPLE });
  await publishOverAmqp(shop.token, BRAND, 1, UNKNOWN_TYPE);
  const rejected = async () => {
    const { items } = await call(shop.token, 'GET', `/v1/${BRAND}/events?disposition=rejected`);
    shop.events.rejected = items[0]?.id;
    return items.length > 0;
  };
  await waitFor(rejected, 'a rejected event');
}

/** An event whose first attempt failed and whose second one succeeded. */
async function prepareRefund(shop) {
  shop.receiver.answerNext('/refunds', { status: 500, text: '{"error":"the database is away"}' });
  shop.events.refund = await publishOne(shop.token, BRAND, { type: WEBHOOKS.refunds.type, data: { ...EXAMPLE, orderId: 'R-1' } });
  await waitForDeliveries(shop, 'refunds', 'delivered', 1);
}

/** An endpoint that never answers gets one request at a time, so that other events wait. */
async function prepareReports(shop) {
  shop.receiver.hold('/reports');
  const ids = await publish(shop.token, BRAND, WAITING_EVENTS, { type: WEBHOOKS.reports.type, data: EXAMPLE });
  shop.events.waiting = ids.at(-1);
  await waitForDeliveries(shop, 'reports', 'pending', ids.length);
}

/** Events that failed for good although the webhook is active, as after an outage. */
async function prepareOutage(shop) {
  for (let round = 1; round <= OUTAGE_ROUNDS; round += 1) {
    shop.receiver.answer('/warehouse', 500, 'closed');
    await publish(shop.token, BRAND, 2, { type: STOCK, data: { sku: `S-${round}` } });
    await waitForDeliveries(shop, 'warehouse', 'failed', 2 * round);
    shop.receiver.answer('/warehouse', 200, 'thanks');
    await publish(shop.token, BRAND, 1, { type: STOCK, data: { sku: `S-${round}` } });
    await waitForDeliveries(shop, 'warehouse', 'delivered', round);
  }
}

/** A webhook that fails now and will be disabled, because one more failed delivery is enough. */
async function prepareFeed(shop) {
  shop.receiver.answer('/feed', 503, 'maintenance');
  await publish(shop.token, BRAND, 2, { type: WEBHOOKS.feed.type, data: EXAMPLE });
  await waitForDeliveries(shop, 'feed', 'failed', 2);
  assert.equal((await call(shop.token, 'GET', shop.path('feed'))).status, 'active');
}

/** A webhook that the platform disabled. */
async function prepareArchive(shop) {
  shop.receiver.answer('/archive', 410, 'gone');
  await publish(shop.token, BRAND, 1, { type: WEBHOOKS.archive.type, data: EXAMPLE });
  await waitFor(async () => (await call(shop.token, 'GET', shop.path('archive'))).status === 'disabled', 'the archive is disabled');
}

/** An order with 130 KB of data. */
async function prepareLargeOrder(shop) {
  const line = (n) => ({ sku: `SKU-${n}`, name: 'Jürgen’s chair', amount: n, note: 'x'.repeat(200) });
  const data = { orderId: `L-${RUN}`, total: 12345678901234567890n, lines: Array.from({ length: 500 }, (_, n) => line(n)) };
  [shop.events.large] = await publish(shop.token, BRAND, 1, { type: ORDER, data });
  await waitFor(async () => (await request(shop.token, 'GET', `/v1/${BRAND}/events/${shop.events.large}`)).status === 200, 'the large order');
}
