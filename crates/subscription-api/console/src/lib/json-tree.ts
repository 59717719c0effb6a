// Reads JSON into a tree that keeps the source text of every value, so that it can be folded and searched without
// changing a digit. JSON.parse would round long numbers, reorder keys that look like indexes, and drop duplicates.

export interface JsonNode {
  kind: 'object' | 'array' | 'scalar';
  /** The key as people read it, escapes resolved; null for elements and the root. */
  key: string | null;
  /** The source text of a scalar; empty for others. */
  text: string;
  children: JsonNode[];
  /** Identifies the node within its tree. */
  id: number;
  parent: JsonNode | null;
}

/** Deeper JSON is shown as text only, because each level is a call. */
const MAX_DEPTH = 200;

/** Returns null if the text is not JSON or nested too deeply. */
export function parseTree(text: string): JsonNode | null {
  try {
    // JSON.parse checks the syntax, so that the reader below needs no error handling of its own.
    JSON.parse(text);
  } catch {
    return null;
  }
  let at = 0;
  let ids = 0;
  const skip = () => {
    while (/\s/.test(text[at] ?? '')) at += 1;
  };
  const string = (): string => {
    const from = at;
    at += 1;
    while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    at += 1;
    return text.slice(from, at);
  };
  const value = (key: string | null, parent: JsonNode | null, depth: number): JsonNode => {
    if (depth > MAX_DEPTH) throw new RangeError('too deep');
    skip();
    const open = text[at];
    const node: JsonNode = { kind: 'scalar', key, text: '', children: [], id: ids++, parent };
    if (open === '{' || open === '[') {
      node.kind = open === '{' ? 'object' : 'array';
      members(node, depth);
    } else if (open === '"') {
      node.text = string();
    } else {
      const from = at;
      while (at < text.length && !/[\s,\]}]/.test(text[at]!)) at += 1;
      node.text = text.slice(from, at);
    }
    return node;
  };
  const members = (node: JsonNode, depth: number) => {
    const close = node.kind === 'object' ? '}' : ']';
    at += 1;
    skip();
    while (text[at] !== close) {
      let key: string | null = null;
      if (node.kind === 'object') {
        key = JSON.parse(string()) as string;
        skip();
        at += 1; // the colon
      }
      node.children.push(value(key, node, depth + 1));
      skip();
      if (text[at] === ',') at += 1;
      skip();
    }
    at += 1;
  };
  try {
    return value(null, null, 0);
  } catch {
    return null;
  }
}

/** A scalar as people read it: escapes of printable characters are resolved, digits stay as they are. */
export function readable({ text }: JsonNode): string {
  return text.startsWith('"') ? JSON.stringify(JSON.parse(text)) : text;
}

export function* walk(node: JsonNode): Generator<JsonNode> {
  yield node;
  for (const child of node.children) yield* walk(child);
}

/** Maximum number of matches that are highlighted. */
export const MAX_MATCHES = 1000;

/** The nodes whose key or value contains the text, whatever its case. */
export function findMatches(root: JsonNode, q: string): JsonNode[] {
  const wanted = q.toLowerCase();
  const found: JsonNode[] = [];
  if (!wanted) return found;
  for (const node of walk(root)) {
    const hit = (node.key ?? '').toLowerCase().includes(wanted) || (node.kind === 'scalar' && readable(node).toLowerCase().includes(wanted));
    if (hit) found.push(node);
    if (found.length === MAX_MATCHES) break;
  }
  return found;
}

/** Lines that are open at first. */
const OPEN_LINES = 400;

/** The ids of the nodes that are folded at first: those beyond the first few hundred lines, deepest levels first. */
export function initiallyFolded(root: JsonNode): Set<number> {
  const folded = new Set<number>();
  let lines = 0;
  for (const node of breadthFirst(root)) {
    if (node.children.length === 0) continue;
    if (lines > 0 && lines + node.children.length > OPEN_LINES) folded.add(node.id);
    else lines += node.children.length + 1;
  }
  return folded;
}

function breadthFirst(root: JsonNode): JsonNode[] {
  const all = [root];
  for (let n = 0; n < all.length; n += 1) all.push(...all[n]!.children.filter(({ children }) => children.length > 0));
  return all;
}
