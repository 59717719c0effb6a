// The documentation and the API reference in the browser. They load nothing from elsewhere, and everything can be read
// without their script.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { withBrowser } from './browser.mjs';
import { serious } from './looks.mjs';
import { PICTURES, URL_OF_API } from './settings.mjs';

const PAGES = ['/docs', '/docs/quickstart', '/docs/endpoints', '/docs/errors', '/docs/api', '/docs/runbook'];
const LOOKS = [
  { dark: false, width: 1440 },
  { dark: true, width: 1440 },
  { dark: false, width: 390 },
  { dark: true, width: 390 },
];
/** axe takes ten seconds for this page, so it is looked at once in each theme and width. */
const LONG_PAGE = '/docs/api';
const LOOKS_OF_LONG_PAGE = [LOOKS[0], LOOKS[3]];

/** Every operation has its place on the page, and links lead there. Complaints of the browser fail the test. */
export async function referenceIsComplete() {
  const document = await (await fetch(`${URL_OF_API}/openapi.json`)).json();
  const operations = [document.paths, document.webhooks].flatMap((items) => Object.values(items)).flatMap((item) => Object.values(item));
  await withBrowser({}, async (page) => {
    await page.goto(`${URL_OF_API}/docs`);
    await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'API reference' }).click();
    await page.getByRole('heading', { level: 1, name: 'API reference' }).waitFor();
    const shown = await page.locator('section > h3').evaluateAll((heads) => heads.map((head) => head.id));
    assert.deepEqual(shown.sort(), operations.map(({ operationId }) => operationId).sort());

    await page.getByRole('table', { name: 'Operations: events' }).getByRole('link', { name: 'Redeliver a range of events' }).click();
    assert.match(page.url(), /\/docs\/api#redeliverRange$/);
    const operation = page.locator('section', { has: page.locator('#redeliverRange') });
    await operation.getByText('dryRun', { exact: true }).first().waitFor();
    assert.match(await operation.getByRole('region', { name: /^Request: / }).textContent(), /"status":"failed"/);
    const example = operation.getByRole('region', { name: /^Response 202: / });
    assert.equal(await example.isVisible(), false);
    await operation.locator('summary', { hasText: '202' }).click();
    assert.match(await example.textContent(), /"jobId": "/);
    await operation.getByRole('link', { name: 'Redelivery', exact: true }).click();
    assert.match(page.url(), /#schema-Redelivery$/);
  });
}

/** Search, copy buttons, language tabs, theme and the menu of narrow screens, with the keyboard where it matters. */
export async function docsAreConvenient() {
  await withBrowser({}, async (page) => {
    await page.goto(`${URL_OF_API}/docs`);
    await page.keyboard.press('/');
    await page.getByRole('searchbox', { name: 'Search the docs' }).fill('webhook-disabled');
    await page.getByRole('dialog').getByRole('link', { name: /^webhook-disabled/ }).waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/docs\/errors#webhook-disabled$/);

    await page.goto(`${URL_OF_API}/docs/quickstart`);
    const panel = page.getByRole('tabpanel').filter({ visible: true });
    await page.getByRole('tab', { name: 'Go' }).click();
    assert.equal(await panel.count(), 1);
    await page.keyboard.press('ArrowRight');
    await panel.getByRole('heading', { name: 'Java' }).waitFor();
    await page.getByRole('tab', { name: 'Python' }).click();
    await panel.getByRole('button', { name: 'Copy' }).last().click();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^import os\n[^]*await request\.body\(\)/);
    // The choice holds on other pages, and a link to another language wins.
    await page.goto(`${URL_OF_API}/docs/endpoints`);
    await panel.getByRole('heading', { name: 'Python' }).waitFor();
    await page.goto(`${URL_OF_API}/docs/quickstart#ruby`);
    await panel.getByRole('heading', { name: 'Ruby' }).waitFor();

    const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await back();
    await page.getByRole('combobox', { name: 'Theme' }).selectOption('dark');
    assert.notEqual(await back(), light);
    await page.reload();
    assert.notEqual(await back(), light);
  });
  await withBrowser({ width: 390 }, async (page) => {
    await page.goto(`${URL_OF_API}/docs/limits`);
    const link = page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Errors' });
    assert.equal(await link.count(), 0);
    await page.getByRole('button', { name: 'Pages' }).click();
    await link.click();
    await page.waitForURL(/\/docs\/errors$/);
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
        if (path === LONG_PAGE && !LOOKS_OF_LONG_PAGE.includes(look)) continue;
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
