import assert from 'node:assert/strict';
import { test } from 'node:test';
import { covers, tick, togglePattern, buildTree, typesBelow } from '../src/lib/tree';

const NAMES = ['A.X', 'A.Y.Z', 'A', 'B.X'];

test('groups cover whole segments only', () => {
  assert.ok(covers('A', 'A') && covers('A', 'A.X') && covers('*', 'B'));
  assert.ok(!covers('A', 'AB') && !covers('A.X', 'A') && !covers('A.X', 'A.XY'));
});

test('a tree holds every type once, and a name may be both a group and a type', () => {
  const roots = buildTree(NAMES, (name) => name);
  assert.deepEqual(roots.map((node) => node.pattern), ['A', 'B']);
  assert.equal(roots[0]?.entry, 'A');
  assert.deepEqual(roots.flatMap(typesBelow).sort(), [...NAMES].sort());
});

test('a node is selected, covered, partly selected or not selected', () => {
  assert.equal(tick('A', ['A']), 'on');
  assert.equal(tick('A.X', ['A']), 'covered');
  assert.equal(tick('A', ['A.X']), 'some');
  assert.equal(tick('B', ['A']), 'off');
  assert.equal(tick('A', ['*']), 'covered');
  assert.equal(tick('*', ['*']), 'on');
  assert.equal(tick('*', ['A']), 'some');
});

test('a selected group replaces the types that it covers', () => {
  assert.deepEqual(togglePattern(['A.X', 'B.X'], 'A', true), ['B.X', 'A']);
  assert.deepEqual(togglePattern(['A.X', 'B'], '*', true), ['*']);
  assert.deepEqual(togglePattern(['A', 'B'], 'A', false), ['B']);
});
