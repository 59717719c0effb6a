// A user of the console whose clicks and key presses are counted. Typing is named and not counted, and neither is reading:
// scrolling, and waiting for the page.

import { address, settled } from '../browser.mjs';
import { hits, searchField } from '../events.mjs';

const plural = (n, one, more) => (n === 1 ? `1 ${one}` : `${n} ${more}`);

export class User {
  #steps = [];

  constructor(page) {
    this.page = page;
  }

  /** Opens the first page, or the page on which the task begins, and sets the counts to zero. */
  async begin(path = '/') {
    await this.page.goto(address(path));
    await settled(this.page);
    this.#steps = [{ name: '', clicks: 0, keys: 0, typed: [] }];
  }

  /** Begins a named step, which is counted separately. */
  step(name) {
    const first = this.#steps[0];
    if (first.name === '' && first.clicks + first.keys + first.typed.length === 0) this.#steps = [];
    this.#steps.push({ name, clicks: 0, keys: 0, typed: [] });
  }

  async click(target, options) {
    await target.click(options);
    this.#now.clicks += 1;
  }

  async press(key) {
    await this.page.keyboard.press(key);
    this.#now.keys += 1;
  }

  /** Goes back in the history with Alt and the left arrow, which the browser handles and not the page. */
  async goBack() {
    await this.page.goBack();
    this.#now.keys += 1;
  }

  /** Chooses from a list, which takes a click to open it and one on the entry. */
  async choose(field, option) {
    await field.selectOption(option);
    this.#now.clicks += 2;
  }

  /** Fills a field. `what` names the text in the table. */
  async type(what, text, field) {
    await field.fill(text);
    this.#now.typed.push(what);
  }

  /** Searches with the key `/` and opens the first result with Enter. */
  async search(what, text) {
    await this.press('/');
    await this.type(what, text, searchField(this.page));
    const first = hits(this.page).first();
    await first.filter({ hasText: text }).waitFor();
    await this.press('Enter');
    await first.waitFor({ state: 'hidden' });
    await settled(this.page);
  }

  /** The counts in words, such as `2 keys, 1 click (event id typed)`. */
  get count() {
    return this.#steps.map(({ name, ...counts }) => (name ? `${name}: ` : '') + inWords(counts)).join('; ');
  }

  get #now() {
    return this.#steps.at(-1);
  }
}

function inWords({ clicks, keys, typed }) {
  const parts = [keys > 0 && plural(keys, 'key', 'keys'), (clicks > 0 || keys === 0) && plural(clicks, 'click', 'clicks')];
  const typing = typed.length > 0 ? ` (${typed.join(', ')} typed)` : '';
  return parts.filter(Boolean).join(', ') + typing;
}
