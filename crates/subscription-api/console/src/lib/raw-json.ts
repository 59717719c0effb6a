// Reads and formats JSON without changing it. JSON.parse would round long numbers, reorder keys that look
// like indexes, and drop duplicate keys. A developer who debugs a payload needs to see the original.

const SPACE = /\s/;

/** Parses JSON but keeps the values of some keys as source text, except null. */
export function parseKeeping(text: string, keys: readonly string[]): unknown {
  let at = 0;

  const skip = () => {
    while (SPACE.test(text[at] ?? '')) at += 1;
  };

  const string = (): string => {
    const from = at;
    at += 1;
    while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
    at += 1;
    return text.slice(from, at);
  };

  /** Skips a value of any kind. */
  const pass = (): void => {
    let depth = 0;
    do {
      skip();
      const c = text[at];
      if (c === '"') string();
      else if (c === '{' || c === '[') (depth += 1), (at += 1);
      else if (c === '}' || c === ']') (depth -= 1), (at += 1);
      else if (c === ',' || c === ':') at += 1;
      else scalar();
      if (depth > 0) skip();
    } while (depth > 0 && at < text.length);
  };

  const scalar = (): string => {
    const from = at;
    while (at < text.length && !/[\s,\]}]/.test(text[at]!)) at += 1;
    return text.slice(from, at);
  };

  const kept = (): string | null => {
    skip();
    const from = at;
    pass();
    const source = text.slice(from, at).trim();
    return source === 'null' ? null : source;
  };

  const value = (): unknown => {
    skip();
    if (text[at] === '{') return object();
    if (text[at] === '[') return array();
    return JSON.parse(text[at] === '"' ? string() : scalar());
  };

  /** Reads the members between two brackets with `member`. */
  const members = (close: string, member: () => void): void => {
    at += 1;
    skip();
    while (at < text.length && text[at] !== close) {
      member();
      skip();
      if (text[at] === ',') at += 1;
      skip();
    }
    at += 1;
  };

  const object = (): Record<string, unknown> => {
    const found: Record<string, unknown> = {};
    members('}', () => {
      const key = JSON.parse(string()) as string;
      skip();
      at += 1; // the colon
      found[key] = keys.includes(key) ? kept() : value();
    });
    return found;
  };

  const array = (): unknown[] => {
    const found: unknown[] = [];
    members(']', () => found.push(value()));
    return found;
  };

  return value();
}

/** Breaks JSON into indented lines. */
export function indentJson(text: string): string {
  let lines = '';
  let depth = 0;
  const line = () => `\n${'  '.repeat(depth)}`;
  // A token is a string, an empty pair of brackets, a scalar or a single character.
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|\{\s*\}|\[\s*\]|[^\s"{}[\],:]+|[{}[\],:]/gs)) {
    if (token === '{' || token === '[') (depth += 1), (lines += token + line());
    else if (token === '}' || token === ']') (depth -= 1), (lines += line() + token);
    else if (token === ',') lines += `,${line()}`;
    else if (token === ':') lines += ': ';
    else lines += /^[{[]/.test(token) ? token.replace(/\s/g, '') : token;
  }
  return lines;
}

/** Returns why a text is not JSON, or null if it is. */
export function checkJson(text: string): string | null {
  try {
    JSON.parse(text);
    return null;
  } catch (error) {
    return `This is not JSON yet: ${(error as Error).message}.`;
  }
}
