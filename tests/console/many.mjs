// Fifty thousand events can all be scrolled through, and no frame takes long.

import assert from 'node:assert/strict';
import { asSupport, publish } from './api.mjs';
import { signIn, withBrowser } from './browser.mjs';
import { waitFor } from './journey.mjs';

export const MANY = 50_000;
const AT_ONCE = 500;
/**
 * Maximum time that the page may be busy without a break while it scrolls, and the share of time that it may be
 * busy for over 50 ms: a machine to itself shows none, one with other builds takes the processor away.
 */
const MAX_TASK_MS = 1000;
const MAX_BUSY_SHARE = 0.2;
/** Maximum number of rows in the page. */
const MAX_ROWS = 80;

/** Publishes them to a disabled webhook, which holds them, so that nothing is sent. */
export async function publishMany({ brand, token, webhook }) {
  for (let sent = 0; sent < MANY; sent += 2 * AT_ONCE) {
    await Promise.all([publishPatiently(token, brand), publishPatiently(token, brand)]);
  }
  const routed = async () => {
    const { queues } = await asSupport('GET', '/admin/v1/overview');
    return queues.find(({ name }) => name.endsWith('.ingest')).messages === 0;
  };
  await waitFor(routed, 'an empty queue of the router');
  await waitFor(async () => (await countOf({ brand, webhook })) >= MANY, 'all events');
}

/** Retries as the answer says, when the broker does not confirm in time on a busy machine. */
async function publishPatiently(token, brand) {
  for (let left = 10; ; left -= 1) {
    try {
      return await publish(token, brand, AT_ONCE);
    } catch (error) {
      if (left === 0 || !error.message.startsWith('publish: 503')) throw error;
    }
  }
}

async function countOf({ brand, webhook }) {
  let count = 0;
  for (let cursor = ''; cursor !== null; ) {
    const page = await asSupport('GET', `/v1/${brand}/webhooks/${webhook}/events?limit=1000${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
    count += page.items.length;
    cursor = page.nextCursor;
  }
  return count;
}

/** A machine that stalls spoils one measurement; a slow page spoils both. */
export async function scrollThroughAll(shop) {
  try {
    await scrollOnce(shop);
  } catch (error) {
    if (!(error instanceof Busy)) throw error;
    console.log(`# ${error.message}; once more`);
    await scrollOnce(shop);
  }
}

class Busy extends Error {}

async function scrollOnce({ brand, token, webhook }) {
  await withBrowser({}, async (page) => {
    await page.addInitScript(() => {
      globalThis.longTasks = [];
      new PerformanceObserver((list) => {
        globalThis.longTasks.push(...list.getEntries().map((entry) => Math.round(entry.duration)));
      }).observe({ type: 'longtask', buffered: true });
    });
    await signIn(page, token, `/brands/${brand}/webhooks/${webhook}`);
    const list = page.getByRole('table', { name: 'Events' });
    await list.locator('[data-index="10"]').waitFor();
    await list.scrollIntoViewIfNeeded();
    await page.evaluate(() => (globalThis.longTasks.length = 0));
    const end = page.getByText(/^[\d,]+ events in all\.$/);
    const begun = Date.now();
    let most = 0;
    while ((await end.count()) === 0) {
      if (Date.now() - begun > 300_000) throw new Error(`not at the end: ${await list.getAttribute('aria-rowcount')}`);
      most = Math.max(most, await list.locator('.virtual-space > [role="row"]').count());
      await list.evaluate((box) => (box.scrollTop = box.scrollHeight));
      await page.waitForTimeout(20);
    }
    const took = Date.now() - begun;
    const tasks = await page.evaluate(() => globalThis.longTasks);
    // A browser that stalls for a moment shows one long task, so the longest but one is judged.
    tasks.sort((a, b) => b - a);
    const judged = tasks.slice(1);
    const longest = tasks[0] ?? 0;
    console.log(`# ${MANY} events scrolled through in ${took} ms; ${tasks.length} tasks over 50 ms, the longest ${longest} ms; at most ${most} rows in the page`);
    assert.ok(most <= MAX_ROWS, `${most} rows in the page`);
    if (judged[0] > MAX_TASK_MS) throw new Busy(`the page was busy for ${judged[0]} ms`);
    const busy = judged.reduce((sum, task) => sum + task, 0);
    if (busy > MAX_BUSY_SHARE * took) throw new Busy(`the page was busy for ${busy} of ${took} ms`);
    const rows = Number(await list.getAttribute('aria-rowcount')) - 1;
    assert.ok(rows >= MANY, `${rows} rows`);

    // The keyboard works, too, to the top and from row to row.
    await list.focus();
    await page.keyboard.press('Home');
    await list.locator('[data-index="0"]').waitFor();
    await list.locator('[data-index="0"] a').focus();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('ArrowDown');
    assert.equal(await page.evaluate(() => document.activeElement.closest('[data-index]').dataset.index), '2');
  });
}
