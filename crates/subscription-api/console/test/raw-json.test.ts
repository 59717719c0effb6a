import assert from 'node:assert/strict';
import { test } from 'node:test';
import { indentJson, checkJson, parseKeeping } from '../src/lib/raw-json';

test('raw members keep every byte', () => {
  for (const data of ['{"b" : 1.10, "2":1,"1":2, "n":12345678901234567890}', '[1,[],{"a":"}]\\""}]', '"a\\"b{"', '-0.0', 'true']) {
    const found = parseKeeping(`{"items":[{"id":"x","data": ${data} ,"n":3}],"nextCursor":null}`, ['data']);
    assert.deepEqual(found, { items: [{ id: 'x', data, n: 3 }], nextCursor: null });
  }
});

test('null stays null, and other members are parsed as usual', () => {
  const text = '{"schema":null,"a":[1,true,null,"\\u00e4\\n"],"b":{},"c":[],"d":-1.5e3}';
  assert.deepEqual(parseKeeping(text, ['schema']), JSON.parse(text));
  assert.deepEqual(parseKeeping(' [ ] ', []), []);
});

test('indented JSON has the same content', () => {
  const text = '{"a":[1,2,{"b":"x, {y}: \\"z\\""}],"c":{ },"d":[ ],"n":12345678901234567890}';
  const lines = indentJson(text);
  assert.deepEqual(JSON.parse(lines), JSON.parse(text));
  assert.match(lines, /"n": 12345678901234567890/);
  assert.match(lines, /"c": \{\}/);
  assert.equal(indentJson('{"a":1}'), '{\n  "a": 1\n}');
  assert.equal(indentJson('7'), '7');
});

test('an error message says that the text is not JSON', () => {
  assert.equal(checkJson('{"a":1}'), null);
  assert.match(checkJson('{"a"') ?? '', /not JSON/);
});
