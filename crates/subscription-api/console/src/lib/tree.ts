// Event types as a tree of their segments, and what a choice of groups and types covers.

export interface TreeNode<T> {
  /** The whole name so far: a group, a type, or both. */
  pattern: string;
  segment: string;
  /** The type of this very name, if there is one. */
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

/** All types at and below a node. */
export function typesBelow<T>(node: TreeNode<T>): T[] {
  return [...(node.entry === null ? [] : [node.entry]), ...node.children.flatMap(typesBelow)];
}

export type Tick = 'on' | 'covered' | 'some' | 'off';

/** How a node stands to a choice: chosen itself, covered by a group above it, partly, or not at all. */
export function tick(pattern: string, chosen: readonly string[]): Tick {
  if (chosen.includes(pattern)) return 'on';
  if (chosen.some((c) => covers(c, pattern))) return 'covered';
  if (chosen.some((c) => c !== '*' && covers(pattern, c))) return 'some';
  return 'off';
}

/** The choice after a node was ticked or not; what a group covers need not be named any more. */
export function togglePattern(chosen: readonly string[], pattern: string, on: boolean): string[] {
  const others = chosen.filter((c) => c !== pattern);
  if (!on) return others;
  return [...others.filter((c) => !covers(pattern, c)), pattern];
}
