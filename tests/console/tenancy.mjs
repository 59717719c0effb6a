// One brand never sees another, and a token that only reads is offered nothing else.

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
      `/brands/${other}/jobs`,
      `/brands/${other}/audit`,
      `/brands/${other}/settings`,
      `/brands/${other}/events`,
      `/brands/${other}/events/${event}`,
      `/brands/${own}/events/${event}`,
      '/events',
      `/events/${event}`,
      '/brands',
      '/webhooks',
      '/jobs',
      '/rejected',
      '/audit',
      '/catalogue',
    ];
    for (const path of paths) {
      await page.goto(address(path));
      await settled(page);
      const text = await page.locator('body').innerText();
      assert.ok(!text.includes(endpoint) && !text.includes('ada@example.com'), `${path}: ${text}`);
      assert.match(text, /There is no such (brand|webhook|page)|no such (event|brand)|No event of/i, path);
    }
    const links = await page.getByRole('navigation', { name: 'Main' }).getByRole('link').allInnerTexts();
    assert.deepEqual(links, ['Overview', 'Events', 'Webhooks', 'Jobs', 'Event types', 'Tokens', 'Audit', 'Setup guide']);
  });
}

/** A read token can look, and the console offers it no forbidden action and no form. */
export async function readOnly({ token, brand, webhook }) {
  await withBrowser({}, async (page) => {
    const own = `/brands/${brand}/webhooks/${webhook}`;
    await signIn(page, token, own);
    await page.getByText('(read only)').waitFor();
    const absent = async () => {
      for (const name of ['More actions', 'Pause…', 'Show secret', 'Rotate…', 'Send a test event', 'Redeliver a range…', 'Save', 'Create the webhook']) {
        assert.equal(await page.getByRole('button', { name }).count(), 0, name);
      }
    };
    for (const tab of ['Deliveries', 'Metrics', 'Settings', 'Secret & test']) {
      await page.getByRole('tab', { name: tab }).click();
      await settled(page);
      await absent();
    }
    for (const path of [`${own}/edit`, `/brands/${brand}/new-webhook`, `${own}/created`]) {
      await page.goto(address(path));
      await page.getByText('Your token is read-only').waitFor();
      await absent();
    }
  });
}
