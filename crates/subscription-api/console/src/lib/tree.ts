// Event types as a tree of segments, and the types that a selection of groups and types covers.

export interface TreeNode<T> {
  /** The full name up to this segment: a group, a type, or both. */
  pattern: string;
  segment: string;
  /** The event type with exactly this name, if it exists. */
  entry: T | null;
  children: TreeNode<T>[];
}

export const covers = (pattern: string, type: string): boolean =>
  pattern === '*' || pattern === type || type.startsWith(`${pattern}.`);

export function buildTree<T>(entries: readonly T[], nameOf: (entry: T) => string): TreeNode<T>[] {
  const roots: TreeNode<T>[] = [];
  for (const entry of entries) {
    let level = roots;
    let pattern = '';
    for (const segment of nameOf(entry).split('.')) {
      pattern = pattern ? `${pattern}.${segment}` : segment;
      let node = level.find((n) => n.segment === segment);
      if (!node) level.push((node = { pattern, segment, entry: null, children: [] }));
      if (pattern === nameOf(entry)) node.entry = entry;
      level = node.children;
    }
  }
  return roots;
}

/** Returns all types at and below a node. */
export function typesBelow<T>(node: TreeNode<T>): T[] {
  return [...(node.entry === null ? [] : [node.entry]), ...node.children.flatMap(typesBelow)];
}

export type Tick = 'on' | 'covered' | 'some' | 'off';

/** Returns whether a node is selected itself, covered by a group, partly selected, or not selected. */
export function tick(pattern: string, chosen: readonly string[]): Tick {
  if (chosen.includes(pattern)) return 'on';
  if (chosen.some((c) => covers(c, pattern))) return 'covered';
  if (chosen.some((c) => c !== '*' && covers(pattern, c))) return 'some';
  return 'off';
}

/** Selects or deselects a node. A selected group replaces the types that it covers. */
export function togglePattern(chosen: readonly string[], pattern: string, on: boolean): string[] {
  const others = chosen.filter((c) => c !== pattern);
  if (!on) return others;
  return [...others.filter((c) => !covers(pattern, c)), pattern];
}

/** The webhooks that subscribe to one of these types, be it by a group or by everything. */
export const webhooksOf = <W extends { events: readonly string[] }>(webhooks: readonly W[], types: readonly string[]): W[] =>
  webhooks.filter(({ events }) => types.some((type) => events.some((pattern) => covers(pattern, type))));
