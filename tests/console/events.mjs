// Finding an event without knowing its webhook, and looking into its attempts. Each step takes what it needs from the
// world, so that it can run against any platform that has such events.

import assert from 'node:assert/strict';
import { address, button, readClipboard, settled, signIn, tab, withBrowser } from './browser.mjs';

/** The list below the search; other options belong to fields of the page. */
export const hits = (page) => page.getByRole('listbox', { name: 'Results' }).getByRole('option');
export const searchField = (page) => page.getByRole('combobox', { name: /^Search events/ });

/** From any page, a key press and the id lead to the event. Returns the number of clicks. */
export async function searchFindsAnEvent({ token, event, brand, key, webhookName }) {
  await withBrowser({}, async (page) => {
    await signIn(page, token);
    await settled(page);
    await page.keyboard.press('/');
    await page.waitForFunction(() => document.activeElement?.getAttribute('role') === 'combobox');
    await page.keyboard.type(event);
    const first = hits(page).first();
    await first.filter({ hasText: event }).waitFor();
    assert.equal(await first.getAttribute('aria-selected'), 'true');
    assert.equal(await searchField(page).getAttribute('aria-activedescendant'), await first.getAttribute('id'));
    await page.keyboard.press('Enter');
    await page.getByRole('region', { name: 'Where is my event?' }).waitFor();
    assert.ok(page.url().endsWith(`/brands/${brand}/events/${event}`), page.url());
    await page.getByRole('row').filter({ hasText: webhookName }).first().waitFor();

    // The other shortcut works inside a field, too, and a key of the producer finds the event as well.
    if (key) {
      await page.keyboard.press('Control+k');
      await searchField(page).fill(key);
      await hits(page).filter({ hasText: `key ${key}` }).first().waitFor();
      await page.keyboard.press('Escape');
      assert.equal(await searchField(page).inputValue(), '');
    }
    await page.keyboard.press('Control+k');
    await searchField(page).fill('overv');
    await hits(page).filter({ hasText: 'Overview' }).waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
  });
}

/** The event page says what the router did, and what came of the event at each webhook. */
export async function lookupAnswers({ token, brand, cases }) {
  await withBrowser({}, async (page) => {
    await signIn(page, token);
    for (const { event, badge, answer, rows = {} } of cases) {
      await page.goto(address(`/brands/${brand}/events/${event}`));
      const card = page.getByRole('region', { name: 'Where is my event?' });
      await card.waitFor();
      await page.locator('.heading .badge').filter({ hasText: badge }).waitFor();
      await card.locator('.verdict').filter({ hasText: answer }).waitFor();
      for (const [name, result] of Object.entries(rows)) {
        await card.getByRole('row').filter({ hasText: name }).getByText(result, { exact: true }).first().waitFor();
      }
    }
    // An unknown id offers no action.
    await page.goto(address(`/brands/${brand}/events/01ARZ3NDEKTSV4RRFFQ69G5FAV`));
    await page.getByText(`No event of ${brand} has this id.`).waitFor();
    assert.equal(await page.getByRole('button', { name: /^Redeliver/ }).count(), 0);
  });
}

/** The list of a brand's events has those that no webhook received; its filters are part of the address. */
export async function eventsOfABrand({ token, brand, dropped }) {
  await withBrowser({}, async (page) => {
    await signIn(page, token, `/brands/${brand}/events`);
    await page.getByRole('table', { name: 'Events' }).waitFor();
    await page.getByLabel('What happened').selectOption('not_enabled');
    await page.getByText(dropped).first().waitFor();
    assert.match(page.url(), /disposition=not_enabled/);
    assert.equal(await page.locator('tbody .badge').filter({ hasNotText: /Not enabled|Test/ }).count(), 0);
    await button(page, 'Clear filters').click();
    await page.waitForURL((url) => !url.search.includes('disposition'));
    await button(page, '7 d').click();
    assert.match(page.url(), /range=7d/);
  });
}

/** The inspector shows the request and the response of each attempt, and what differs from the one before. */
export async function attemptsAreInspected({ token, brand, webhook, event, body, url }) {
  await withBrowser({}, async (page) => {
    await signIn(page, token, `/brands/${brand}/webhooks/${webhook}/events/${event}`);
    const attempts = page.getByRole('navigation', { name: 'Attempts' }).getByRole('button');
    await attempts.nth(1).waitFor();
    assert.equal(await attempts.first().getAttribute('aria-current'), 'true', 'the newest attempt is first');
    const exchange = page.locator('.exchange');

    await exchange.getByText('webhook-signature').waitFor();
    await exchange.getByRole('region', { name: 'Request body' }).getByText(`"${event}"`).waitFor();
    await button(page, 'Copy as curl').click();
    await page.getByRole('status').filter({ hasText: 'curl command' }).waitFor();
    const curl = await readClipboard(page);
    assert.ok(curl.startsWith(`curl -X POST '${url}'`), curl);
    assert.match(curl, /-H 'webhook-signature: v1,/);
    assert.match(curl, /--data-raw '\{"id":/);

    await button(page, 'Forward to my machine…').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Your server').fill('http://localhost:4567/hooks');
    const command = await dialog.getByRole('region', { name: 'Command' }).textContent();
    assert.match(command, new RegExp(`^postrider listen --url http\\S+ --brand ${brand} `));
    assert.ok(command.includes(`--webhook ${webhook}`) && command.includes(`--event ${event}`), command);
    assert.ok(command.includes('--forward-to http://localhost:4567/hooks'), command);
    await page.keyboard.press('Escape');

    await attempts.last().click();
    await tab(page, 'Response').click();
    await exchange.getByRole('region', { name: 'Response body' }).getByText(body).waitFor();
    await exchange.getByText('Response headers').waitFor();
    await page.keyboard.press('ArrowRight');
    await exchange.getByText('Waiting for the response').waitFor();
    assert.equal(await tab(page, 'Compare').count(), 0, 'nothing is before the first attempt');
    await attempts.nth((await attempts.count()) - 2).click();
    await tab(page, 'Compare').click();
    await exchange.getByRole('region', { name: 'Request: differences' }).getByText('webhook-timestamp').first().waitFor();
    // The selected attempt and tab are part of the address.
    await page.reload();
    await exchange.getByRole('region', { name: 'Request: differences' }).waitFor();
  });
}

/** A payload keeps its digits, folds, and can be searched. */
export async function payloadsAreReadable({ token, brand, event, key, value }) {
  await withBrowser({}, async (page) => {
    await signIn(page, token, `/brands/${brand}/events/${event}`);
    const data = page.locator('.body-view').last();
    await data.getByText(`"${key}"`).waitFor();
    await data.getByText(value, { exact: true }).waitFor();
    await data.getByRole('searchbox').fill(key);
    await data.locator('mark.current').waitFor();
    await data.getByText(/^1 of \d/).waitFor();
    await data.getByRole('button', { name: 'Fold all' }).or(data.getByRole('button', { name: 'Unfold all' })).first().click();
    await data.locator('mark.current').waitFor();
    await data.getByRole('button', { name: 'Raw' }).click();
    assert.match(await data.locator('pre').textContent(), new RegExp(value));
    const [download] = await Promise.all([page.waitForEvent('download'), data.getByRole('button', { name: /^Download/ }).click()]);
    assert.match(download.suggestedFilename(), /\.json$/);
  });
}
