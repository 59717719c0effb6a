import assert from 'node:assert/strict';
import { test } from 'node:test';
import { showControls } from '../src/lib/show-controls';

test('characters that hide or reorder text are shown', () => {
  assert.equal(showControls('a\u202eb\u2066\u200f\u061c\u2028'), 'a\\u202eb\\u2066\\u200f\\u061c\\u2028');
  assert.equal(showControls('\u001b[31m\u0000\u009b'), '\\u001b[31m\\u0000\\u009b');
});

test('other characters stay, and JSON keeps its meaning', () => {
  const plain = '{\n\t"a": "é \u05d0 😀 \u200d"\r\n}';
  assert.equal(showControls(plain), plain);
  const json = JSON.stringify({ a: 'x\u202ey\u007f' });
  assert.deepEqual(JSON.parse(showControls(json)), JSON.parse(json));
});
