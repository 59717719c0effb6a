import assert from 'node:assert/strict';
import { test } from 'node:test';
import { covers, tick, toggled, treeOf, typesOf } from '../src/lib/tree';

const NAMES = ['A.X', 'A.Y.Z', 'A', 'B.X'];

test('groups cover whole segments only', () => {
  assert.ok(covers('A', 'A') && covers('A', 'A.X') && covers('*', 'B'));
  assert.ok(!covers('A', 'AB') && !covers('A.X', 'A') && !covers('A.X', 'A.XY'));
});

test('a tree has every type once, a name may be group and type', () => {
  const roots = treeOf(NAMES, (name) => name);
  assert.deepEqual(roots.map((node) => node.pattern), ['A', 'B']);
  assert.equal(roots[0]?.entry, 'A');
  assert.deepEqual(roots.flatMap(typesOf).sort(), [...NAMES].sort());
});

test('ticks say how a node stands', () => {
  assert.equal(tick('A', ['A']), 'on');
  assert.equal(tick('A.X', ['A']), 'covered');
  assert.equal(tick('A', ['A.X']), 'some');
  assert.equal(tick('B', ['A']), 'off');
  assert.equal(tick('A', ['*']), 'covered');
  assert.equal(tick('*', ['*']), 'on');
  assert.equal(tick('*', ['A']), 'some');
});

test('a group takes the place of what it covers', () => {
  assert.deepEqual(toggled(['A.X', 'B.X'], 'A', true), ['B.X', 'A']);
  assert.deepEqual(toggled(['A.X', 'B'], '*', true), ['*']);
  assert.deepEqual(toggled(['A', 'B'], 'A', false), ['B']);
});
