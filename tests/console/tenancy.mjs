// One brand never sees another, and a token leaves no trace outside its tab.

import assert from 'node:assert/strict';
import { address, settled, signIn, withBrowser } from './browser.mjs';

/** Opens another brand's addresses with one brand's token. */
export async function nothingOfAnother({ token, own, other, webhook, event, endpoint }) {
  await withBrowser({}, async (page) => {
    await signIn(page, token);
    const paths = [
      `/brands/${other}`,
      `/brands/${other}/webhooks`,
      `/brands/${other}/new-webhook`,
      `/brands/${other}/webhooks/${webhook}`,
      `/brands/${other}/webhooks/${webhook}/edit`,
      `/brands/${other}/webhooks/${webhook}/events/${event}`,
      `/brands/${other}/event-types`,
      `/brands/${other}/tokens`,
      `/brands/${other}/guide`,
      `/brands/${own}/webhooks/${webhook}`,
      `/brands/${own}/webhooks/${webhook}/events/${event}`,
      '/brands',
      '/webhooks',
      '/rejected',
      '/audit',
      '/catalogue',
    ];
    for (const path of paths) {
      await page.goto(address(path));
      await settled(page);
      const text = await page.locator('body').innerText();
      assert.ok(!text.includes(endpoint) && !text.includes('ada@example.com'), `${path}: ${text}`);
      assert.match(text, /There is no such (brand|webhook|page)|no such event/i, path);
    }
    const links = await page.getByRole('navigation', { name: 'Main' }).getByRole('link').allInnerTexts();
    assert.deepEqual(links, ['Overview', 'Webhooks', 'Event types', 'Setup guide']);
  });
}

/** The token is in this tab's session storage and nowhere else; signing out removes it. */
export async function theTokenStaysInItsTab({ token }) {
  await withBrowser({}, async (page) => {
    const addresses = [];
    page.on('request', (request) => addresses.push(request.url()));
    await signIn(page, token);
    await settled(page);
    await page.reload();
    await settled(page);
    const kept = await page.evaluate(() => [Object.values(sessionStorage), JSON.stringify(localStorage), document.cookie]);
    assert.deepEqual(kept, [[token], '{}', '']);
    assert.ok(addresses.every((url) => !url.includes(token)));
    const second = await page.context().newPage();
    await second.goto(address());
    await second.getByRole('button', { name: 'Sign in' }).waitFor();
    await second.close();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByText('You are signed out.').waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  });
}

/** A read token can look, and the console offers it no forbidden action. */
export async function readOnly({ token, brand, webhook }) {
  await withBrowser({}, async (page) => {
    await signIn(page, token, `/brands/${brand}/webhooks/${webhook}`);
    await page.getByText('(read only)').waitFor();
    await page.getByText('Outcomes and latency').waitFor();
    for (const name of ['Delete…', 'Pause…', 'Show secret', 'Send a test event', 'Redeliver a range…']) {
      assert.equal(await page.getByRole('button', { name }).count(), 0, name);
    }
  });
}
