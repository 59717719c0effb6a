// What holds on every page: values on hover, the range in the address, the zone, one session, and places on "back".

import assert from 'node:assert/strict';
import { address, button, readClipboard, settled, signIn, withBrowser } from './browser.mjs';

/** Hovering a chart names the values of a step; dragging selects steps as the range of the page; back undoes it. */
export async function chartsAnswer({ token, path = '/' }) {
  await withBrowser({}, async (page) => {
    await signIn(page, token, path);
    const plot = page.locator('.plot-box.selects .u-over').first();
    await plot.waitFor();
    await plot.scrollIntoViewIfNeeded();
    const { x, y, width, height } = await plot.boundingBox();
    await page.mouse.move(x + width * 0.5, y + height * 0.5);
    await page.locator('.tip').first().getByText('Delivered', { exact: true }).waitFor();
    assert.match(await page.locator('.tip dd').first().textContent(), /^[\d,]+$/);
    await page.mouse.move(x + width * 0.3, y + height * 0.5);
    await page.mouse.down();
    await page.mouse.move(x + width * 0.6, y + height * 0.5, { steps: 5 });
    await page.mouse.up();
    await page.waitForURL(/from=.*to=/);
    await page.getByRole('group', { name: 'Time range' }).getByRole('button', { pressed: true }).filter({ hasText: '–' }).waitFor();
    await page.goBack();
    await page.waitForURL((url) => !url.search.includes('from='));
    await page.getByText('Figures as a table').first().click();
    const box = page.locator('.figures-box').first();
    await box.getByRole('table').waitFor();
    const inside = await box.evaluate((element) => element.getBoundingClientRect().right <= element.parentElement.getBoundingClientRect().right + 1);
    assert.ok(inside, 'the table stays in its column');
  });
}

/** Every time names its zone; the switch and the card give UTC and RFC 3339. */
export async function timesNameTheirZone({ token, path }) {
  await withBrowser({}, async (page) => {
    await signIn(page, token, path);
    await settled(page);
    const time = page.locator('main time').filter({ hasText: /\d{4}, / }).first();
    assert.match(await time.textContent(), / (CET|CEST)$/);
    await button(page, 'UTC').click();
    assert.match(await time.textContent(), / UTC$/);
    await time.hover();
    const card = page.getByRole('group', { name: 'Time', exact: true });
    await card.getByText('Europe/Berlin').waitFor();
    await card.getByRole('button', { name: 'Copy time' }).click();
    const copied = await readClipboard(page);
    assert.match(copied, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    await page.reload();
    await settled(page);
    assert.match(await time.textContent(), / UTC$/, 'the choice stays');
  });
}

/** A new tab takes the session over from an open one; the token is never on the disk; signing out ends it everywhere. */
export async function theSessionSpansTabs({ token }) {
  await withBrowser({}, async (page) => {
    const addresses = [];
    page.context().on('request', (request) => addresses.push(request.url()));
    await signIn(page, token);
    await settled(page);
    const second = await page.context().newPage();
    await second.goto(address());
    await second.locator('#navigation').waitFor({ state: 'attached' });
    const kept = await second.evaluate(() => [Object.values(sessionStorage), JSON.stringify(localStorage), document.cookie]);
    assert.deepEqual(kept, [[token], '{}', '']);
    assert.ok(addresses.every((url) => !url.includes(token)));
    await button(second, 'Sign out').click();
    await page.getByText('You are signed out.').waitFor();
    assert.equal(await page.evaluate(() => sessionStorage.length), 0);
    const third = await page.context().newPage();
    await third.goto(address());
    await button(third, 'Sign in').waitFor();
    // Signing in again in one tab brings the others back.
    await third.getByLabel('Token', { exact: true }).fill(token);
    await button(third, 'Sign in').click();
    await page.locator('#navigation').waitFor({ state: 'attached' });
  });
}

/** "Back" leads to the place of the page that was left. */
export async function backKeepsThePlace({ token, path }) {
  await withBrowser({ height: 600 }, async (page) => {
    await signIn(page, token, path);
    const rows = page.locator('tbody tr');
    await rows.nth(20).waitFor();
    const link = rows.nth(20).getByRole('link').first();
    await link.scrollIntoViewIfNeeded();
    const before = await page.evaluate(() => scrollY);
    assert.ok(before > 100, `scrolled to ${before}`);
    await link.click();
    await settled(page);
    assert.ok((await page.evaluate(() => scrollY)) < 50, 'a new page begins at its top');
    await page.goBack();
    await rows.nth(20).waitFor();
    await page.waitForFunction((wanted) => Math.abs(scrollY - wanted) < 40, before);
  });
}
