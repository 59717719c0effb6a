// The documentation and the API reference in the browser. They work without scripts and load nothing from elsewhere.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { withBrowser } from './browser.mjs';
import { serious } from './looks.mjs';
import { PICTURES, URL_OF_API } from './settings.mjs';

const PAGES = ['/docs', '/docs/endpoints', '/docs/api'];
const LOOKS = [
  { dark: false, width: 1440 },
  { dark: true, width: 1440 },
  { dark: false, width: 360 },
  { dark: true, width: 360 },
];

/** Every operation has its place on the page, and links lead there. Complaints of the browser fail the test. */
export async function referenceIsComplete() {
  const document = await (await fetch(`${URL_OF_API}/openapi.json`)).json();
  const operations = Object.values(document.paths).flatMap((item) => Object.values(item));
  await withBrowser({}, async (page) => {
    await page.goto(`${URL_OF_API}/docs`);
    await page.getByRole('navigation').getByRole('link', { name: 'API reference' }).click();
    await page.getByRole('heading', { level: 1, name: 'API reference' }).waitFor();
    const shown = await page.locator('section > h3').evaluateAll((heads) => heads.map((head) => head.id));
    assert.deepEqual(shown.sort(), operations.map(({ operationId }) => operationId).sort());

    await page.getByRole('table', { name: 'Operations: events' }).getByRole('link', { name: 'Redeliver a range of events' }).click();
    assert.match(page.url(), /\/docs\/api#redeliverRange$/);
    const operation = page.locator('section', { has: page.locator('#redeliverRange') });
    await operation.getByText('dryRun', { exact: true }).first().waitFor();
    assert.match(await operation.getByRole('region', { name: /^Request: / }).textContent(), /"status":"failed"/);
    const example = operation.getByRole('region', { name: /^Response / });
    assert.equal(await example.isVisible(), false);
    await operation.locator('summary').click();
    assert.match(await example.textContent(), /"queued": 0/);
    await operation.getByRole('link', { name: 'Redelivery', exact: true }).click();
    assert.match(page.url(), /#schema-Redelivery$/);
    assert.equal(await page.locator('script').count(), 0);
  });
}

/** axe finds nothing serious, and nothing is wider than the screen. */
export async function docsAreReadable() {
  mkdirSync(PICTURES, { recursive: true });
  const found = [];
  for (const look of LOOKS) {
    // axe is added to the page as a script, which the page's own policy rightly forbids.
    await withBrowser({ ...look, bypassCSP: true }, async (page) => {
      for (const path of PAGES) {
        await page.goto(URL_OF_API + path);
        const name = `${path.slice(1).replace('/', '-')}-${look.dark ? 'dark' : 'light'}-${look.width}`;
        await page.screenshot({ path: join(PICTURES, `${name}.png`) });
        for (const violation of await serious(page)) found.push(`${name}: ${violation}`);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        if (overflow > 0) found.push(`${name}: ${overflow} px wider than the screen`);
      }
    });
  }
  assert.deepEqual(found, []);
}
