// The everyday tasks of the console's users, each with its number of clicks. A change that makes a task longer fails here.
// `before` is what a review of the console found at commit 977eb94, before it was rebuilt.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openBrowser, signIn } from './browser.mjs';
import { startReceiver } from './receiver.mjs';
import { SUPPORT_TOKEN } from './settings.mjs';
import { prepareShop } from './tasks/data.mjs';
import * as events from './tasks/events.mjs';
import * as pages from './tasks/pages.mjs';
import * as people from './tasks/people.mjs';
import { documentedRows, rowOf, writeTable } from './tasks/table.mjs';
import { User } from './tasks/user.mjs';
import * as webhooks from './tasks/webhooks.mjs';

/** B is a brand's developer, S is support, O is an operator. */
const TASKS = [
  { number: 1, who: 'S, B', title: 'Why did an event not arrive?', before: '5 to 7 for each webhook, then a guess', now: '2 keys (event id typed)', run: events.whyItDidNotArrive },
  { number: 2, who: 'B', title: 'The exact request, with headers', before: 'not possible', now: '2 keys, 2 clicks (event id typed)', run: events.theExactRequest },
  { number: 3, who: 'B', title: 'Compare two attempts', before: '3, without a comparison', now: '2 keys, 2 clicks (event id typed)', run: events.compareTwoAttempts },
  { number: 4, who: 'B, S', title: 'Resend one event', before: '1 on its page, 2 in the list', now: '2 keys, 1 click (event id typed)', run: events.resendOne },
  { number: 6, who: 'B', title: 'Create a webhook, verify its requests in my language', before: '3 (URL typed); test it: 1', now: 'create it: 3 clicks (URL typed); code in Java: 1 click; test it: 1 click', run: webhooks.createAWebhook },
  { number: 7, who: 'B', title: 'Rotate a secret', before: "2 on the webhook's page", now: 'rotate it: 2 keys, 3 clicks (name typed); end the overlap: 2 clicks', run: webhooks.rotateASecret },
  { number: 8, who: 'S, O', title: 'Which endpoints fail right now, and since when?', before: '1, and 1 for each webhook', now: '0 clicks', run: webhooks.whichEndpointsFail },
  { number: 9, who: 'S', title: 'Find an event by its id or by a value in its payload', before: 'not possible', now: 'by id: 2 keys (event id typed); by key: 2 keys (order number typed)', run: events.findAnEvent },
  { number: 10, who: 'S', title: 'What does a brand receive per day?', before: '3 for each webhook, then a sum', now: '2 keys, 1 click (brand typed)', run: people.trafficPerDay },
  { number: 11, who: 'S', title: 'Sign in with my own name', before: 'not possible', now: 'create it: 2 clicks (name typed); sign in: 1 click (token typed)', run: people.signInWithMyName },
  { number: 12, who: 'B', title: 'Invite a colleague', before: 'ask support', now: '4 clicks (token name typed)', run: people.tokenForAColleague },
  { number: 13, who: 'S', title: 'Who changed what?', before: '1, then scrolling', now: 'support: 4 clicks (brand typed); brand: 1 click', run: people.whoChangedWhat },
  { number: 14, who: 'S, B', title: 'What will be disabled soon?', before: '2 for each webhook', now: '0 clicks', run: webhooks.whatWillBeDisabled },
  { number: 15, who: 'S', title: 'Export a list', before: 'not possible', now: '2 clicks', run: people.exportAList },
  { number: 16, who: 'all', title: 'Open a deep link in another tab', before: '0 (token typed)', now: 'address: 0 clicks; link in a new tab: 1 click', run: pages.openADeepLink },
  { number: 17, who: 'all', title: 'Use the keyboard alone', before: 'not counted: good', now: 'open a webhook: 2 keys (name typed); open its third event: 23 keys; go back to the list: 1 key', run: pages.useTheKeyboard },
  { number: 18, who: 'all', title: 'Use a phone', before: 'not counted: fair', now: '4 clicks', run: pages.useAPhone },
  { number: 19, who: 'B', title: 'Empty states: the first event of a new webhook', before: 'not counted: fair', now: '2 clicks', run: webhooks.readEmptyPages },
  { number: 20, who: 'all', title: 'Error states', before: 'not counted: good', now: 'the API is away: 0 clicks; an address that is refused: 3 clicks (URL typed)', run: pages.readErrors },
  { number: 21, who: 'all', title: 'Read times in UTC', before: 'not possible', now: '1 click', run: pages.switchToUtc },
  { number: 22, who: 'all', title: 'Automatic refresh', before: 'not counted: good', now: 'show new events: 1 click; pause: 1 click', run: pages.watchTheRefresh },
  { number: 23, who: 'all', title: 'Continue after the token ended', before: 'not counted: ok', now: '1 click (token typed)', run: pages.signInAgain },
  { number: 24, who: 'B', title: 'Read a payload of 130 KB', before: 'not counted: partly', now: 'search in it: 2 keys (event id, text typed); unfold a part: 1 click; copy it: 1 click', run: events.readALongPayload },
  { number: 25, who: 'B', title: 'Copy a request as curl', before: 'not possible', now: '2 keys, 2 clicks (event id typed)', run: events.copyAsCurl },
  { number: 26, who: 'S, B', title: 'From a new brand to its first event', before: 'not counted: partly', now: 'support: 6 clicks (brand id, name, token name typed); brand: 5 clicks (URL typed)', run: people.onboardABrand },
  // Its outage takes longest to prepare.
  { number: 5, who: 'B, S', title: 'Resend in bulk after an outage, with progress', before: '3 (two times typed), without a count', now: 'start it: 5 clicks; find it again: 2 clicks; cancel it: 2 clicks', run: webhooks.resendAfterAnOutage },
];

/** Each role is a user in a browser of its own: support, the owner of the shop, and a visitor who signs in with other tokens. */
const world = {};
const browsers = {};
const rows = [];
const sorted = (tasks) => [...tasks].sort((a, b) => a.number - b.number);

before(async () => {
  world.receiver = await startReceiver();
  const open = async (name) => {
    browsers[name] = await openBrowser();
    world[name] = new User(browsers[name].page);
  };
  const [shop] = await Promise.all([prepareShop(world.receiver), ...['support', 'owner', 'visitor'].map(open)]);
  Object.assign(world, { shop, visit });
  await Promise.all([signIn(world.support.page, SUPPORT_TOKEN), signIn(world.owner.page, shop.token)]);
});

after(async () => {
  await Promise.all(Object.values(browsers).map(({ close }) => close()));
  await world.receiver?.stop();
  writeTable(sorted(rows).map(rowOf));
});

/** Signs the visitor in with another token. */
async function visit(token) {
  const { page } = world.visitor;
  // A page that is signed in keeps its token there.
  if (page.url().startsWith('http')) await page.evaluate(() => sessionStorage.clear());
  await signIn(page, token);
}

const takeComplaints = () => Object.values(browsers).flatMap(({ complaints }) => complaints.splice(0));

for (const task of TASKS) {
  const { number, who, title, now, run } = task;
  test(`${number}. ${who}: ${title}`, async () => {
    try {
      const counted = await run(world);
      rows.push({ ...task, now: counted });
      assert.equal(counted, now, 'the clicks of this task');
      assert.deepEqual(takeComplaints(), [], 'what the browsers complained about');
    } catch (error) {
      takeComplaints();
      const pictures = Object.entries(browsers).map(([name, { keepPicture }]) => keepPicture(`task-${number}-${name}.png`));
      throw new Error(`${error.message}\n(pictures: ${(await Promise.all(pictures)).join(', ')})`, { cause: error });
    }
  });
}

test('the documentation has the same table', () => {
  assert.deepEqual(documentedRows(), sorted(TASKS).map(rowOf));
});
