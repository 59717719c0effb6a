// A payload or a response body: JSON is folded, coloured and searchable; the raw text is one click away. Both come from
// the source text, so digits, order and duplicate keys stay as they were sent.

import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { download } from '../lib/download';
import { bytes, count } from '../lib/format';
import { findMatches, initiallyFolded, MAX_MATCHES, parseTree, readable, walk, type JsonNode } from '../lib/json-tree';
import { showControls } from '../lib/show-controls';
import { Copy } from './basics';
import { Icon } from './icon';

interface Props {
  label: string;
  text: string;
  /** The name of a downloaded file, without its ending. */
  file: string;
  /** A note below, such as that the body was cut. */
  note?: string | undefined;
}

/** Children of one node that are shown at first; a button shows the next. */
const CHUNK = 100;

/** What a search in the text or in the tree has found, and which match is the current one. */
function useMatches(tree: JsonNode | null, text: string, q: string) {
  const [at, setAt] = useState(0);
  useEffect(() => setAt(0), [q, tree, text]);
  const nodes = useMemo(() => (tree ? findMatches(tree, q) : []), [tree, q]);
  const places = useMemo(() => (tree ? [] : findRaw(text, q)), [tree, text, q]);
  const found = tree ? nodes.length : places.length;
  const current = found > 0 ? at % found : 0;
  /** The values that are open because a match is inside. */
  const open = useMemo(() => {
    const needed = new Set<number>();
    for (const match of nodes) for (let node = match.parent; node; node = node.parent) needed.add(node.id);
    return needed;
  }, [nodes]);
  const move = (step: number) => setAt((current + step + found) % Math.max(found, 1));
  return { nodes, places, found, current, open, move };
}

/** Which values are folded. */
function useFolding(tree: JsonNode | null) {
  const initial = () => (tree ? initiallyFolded(tree) : new Set<number>());
  const [folded, setFolded] = useState<ReadonlySet<number>>(initial);
  useEffect(() => setFolded(initial()), [tree]);
  const toggle = (node: JsonNode) =>
    setFolded((old) => {
      const now = new Set(old);
      if (!now.delete(node.id)) now.add(node.id);
      return now;
    });
  const inner = () => (tree ? [...walk(tree)].filter((node) => node.parent && node.children.length > 0).map(({ id }) => id) : []);
  const toggleAll = () => setFolded(folded.size > 0 ? new Set() : new Set(inner()));
  return { folded, toggle, toggleAll };
}

/** One triangle is in the tab order; the arrow keys lead to the others, and fold and unfold. */
function operateFolds(event: KeyboardEvent, box: HTMLElement | null): void {
  const fold = event.target;
  if (!(fold instanceof HTMLElement) || !fold.matches('.json-fold')) return;
  const isOpen = fold.getAttribute('aria-expanded') === 'true';
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    const all = [...(box?.querySelectorAll<HTMLElement>('.json-fold') ?? [])];
    all[all.indexOf(fold) + step]?.focus();
  } else if ((event.key === 'ArrowRight' && !isOpen) || (event.key === 'ArrowLeft' && isOpen)) fold.click();
  else return;
  event.preventDefault();
}

export function BodyView({ label, text, file, note }: Props) {
  const json = useMemo(() => parseTree(text), [text]);
  const [raw, setRaw] = useState(false);
  const [wrap, setWrap] = useState(true);
  const [q, setQ] = useState('');
  const tree = raw ? null : json;
  const { nodes, places, found, current, open, move } = useMatches(tree, text, q);
  const { folded, toggle, toggleAll } = useFolding(json);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => box.current?.querySelector('mark.current')?.scrollIntoView({ block: 'nearest' }), [current, q, found]);
  return (
    <div class="body-view">
      <div class="body-tools">
        {json && <FormChoice label={label} raw={raw} choose={setRaw} />}
        <Find label={label} q={q} setQ={setQ} found={found} current={current} move={move} />
        {tree && (
          <button type="button" class="text-button" onClick={toggleAll}>
            {folded.size > 0 ? 'Unfold all' : 'Fold all'}
          </button>
        )}
        <span class="body-size muted small">{bytes(new TextEncoder().encode(text).length)}</span>
        <button type="button" class="icon-button" aria-pressed={wrap} aria-label="Wrap lines" title="Wrap lines" onClick={() => setWrap(!wrap)}>
          <Icon name="wrap" />
        </button>
        <button type="button" class="icon-button" aria-label={`Download ${label}`} title={`Download ${label}`} onClick={() => download(text, `${file}.${json ? 'json' : 'txt'}`)}>
          <Icon name="download" />
        </button>
        <Copy text={text} what={label} small />
      </div>
      <div class={`code body-code ${wrap ? 'wraps' : ''}`} tabIndex={0} role="region" aria-label={label} ref={box} onKeyDown={(event) => operateFolds(event, box.current)}>
        {tree ? (
          <Node node={tree} last depth={0} folded={folded} open={open} toggle={toggle} q={q} current={nodes[current] ?? null} />
        ) : (
          <pre>
            <Marked text={text} q={q} matches={places} current={current} />
          </pre>
        )}
      </div>
      {note && <p class="muted small">{note}</p>}
    </div>
  );
}

const FormChoice = ({ label, raw, choose }: { label: string; raw: boolean; choose: (raw: boolean) => void }) => (
  <div class="segments" role="group" aria-label={`Form of ${label}`}>
    <button type="button" aria-pressed={!raw} onClick={() => choose(false)}>
      Pretty
    </button>
    <button type="button" aria-pressed={raw} onClick={() => choose(true)}>
      Raw
    </button>
  </div>
);

function Find({ label, q, setQ, found, current, move }: {
  label: string;
  q: string;
  setQ: (q: string) => void;
  found: number;
  current: number;
  move: (step: number) => void;
}) {
  const keys = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && found > 0) {
      event.preventDefault();
      move(event.shiftKey ? -1 : 1);
    }
    if (event.key === 'Escape') setQ('');
  };
  return (
    <span class="find">
      <Icon name="search" />
      <input type="search" aria-label={`Search in ${label}`} placeholder="Search" value={q} spellcheck={false} autoComplete="off" onInput={(event) => setQ(event.currentTarget.value)} onKeyDown={keys} />
      <span class="find-count" role="status">
        {q && (found === 0 ? 'none' : `${current + 1} of ${count(found)}${found >= MAX_MATCHES ? '+' : ''}`)}
      </span>
    </span>
  );
}

interface NodeProps {
  node: JsonNode;
  last: boolean;
  depth: number;
  folded: ReadonlySet<number>;
  open: ReadonlySet<number>;
  toggle: (node: JsonNode) => void;
  q: string;
  current: JsonNode | null;
}

function Node(props: NodeProps) {
  const { node, last, depth, folded, open, toggle, q, current } = props;
  const [begin, end] = node.kind === 'object' ? ['{', '}'] : ['[', ']'];
  const close = end + (last ? '' : ',');
  const key = node.key !== null && (
    <>
      <span class="json-key">
        <Highlight text={JSON.stringify(node.key)} q={q} current={node === current} />
      </span>
      {': '}
    </>
  );
  if (node.children.length === 0) {
    return (
      <Line depth={depth}>
        {key}
        {node.kind === 'scalar' ? (
          <>
            <span class={scalarClass(node.text)}>
              <Highlight text={readable(node)} q={q} current={node === current} />
            </span>
            {!last && ','}
          </>
        ) : (
          begin + close
        )}
      </Line>
    );
  }
  const isFolded = folded.has(node.id) && !open.has(node.id);
  return (
    <>
      <Line depth={depth}>
        <button type="button" class="json-fold" tabIndex={node.parent ? -1 : 0} aria-expanded={!isFolded} aria-label={`${node.key ?? 'value'}, ${sizeOf(node)}`} onClick={() => toggle(node)} />
        {key}
        {begin}
        {isFolded && (
          <>
            <button type="button" class="json-count" tabIndex={-1} onClick={() => toggle(node)}>
              {sizeOf(node)}
            </button>
            {close}
          </>
        )}
      </Line>
      {!isFolded && <Children {...props} />}
      {!isFolded && <Line depth={depth}>{close}</Line>}
    </>
  );
}

const Line = ({ depth, children }: { depth: number; children: ComponentChildren }) => (
  <div class="json-line" style={{ '--depth': depth }}>
    {children}
  </div>
);

function sizeOf({ kind, children: { length } }: JsonNode): string {
  const one = kind === 'object' ? 'key' : 'element';
  return `${count(length)} ${length === 1 ? one : `${one}s`}`;
}

function Children(props: NodeProps) {
  const { node, depth, open, current } = props;
  const [limit, setLimit] = useState(CHUNK);
  // A match beyond the first children is shown as well.
  const needed = current && open.has(node.id) ? node.children.findIndex((child) => child === current || open.has(child.id)) + 1 : 0;
  const shown = node.children.slice(0, Math.max(limit, needed));
  const left = node.children.length - shown.length;
  return (
    <>
      {shown.map((child, n) => (
        <Node key={child.id} {...props} node={child} last={n === node.children.length - 1} depth={depth + 1} />
      ))}
      {left > 0 && (
        <Line depth={depth + 1}>
          <button type="button" class="json-count" onClick={() => setLimit(shown.length + CHUNK)}>
            Show {Math.min(CHUNK, left)} more of {count(node.children.length)}
          </button>
        </Line>
      )}
    </>
  );
}

const scalarClass = (text: string) => (text.startsWith('"') ? 'json-string' : /^[-\d]/.test(text) ? 'json-number' : 'json-word');

function Highlight({ text, q, current }: { text: string; q: string; current: boolean }) {
  const shown = showControls(text);
  const at = q ? shown.toLowerCase().indexOf(q.toLowerCase()) : -1;
  if (at < 0) return <>{shown}</>;
  return (
    <>
      {shown.slice(0, at)}
      <mark class={current ? 'current' : undefined}>{shown.slice(at, at + q.length)}</mark>
      {shown.slice(at + q.length)}
    </>
  );
}

function findRaw(text: string, q: string): number[] {
  const found: number[] = [];
  if (!q) return found;
  const [all, wanted] = [text.toLowerCase(), q.toLowerCase()];
  for (let at = all.indexOf(wanted); at >= 0 && found.length < MAX_MATCHES; at = all.indexOf(wanted, at + wanted.length)) found.push(at);
  return found;
}

function Marked({ text, q, matches, current }: { text: string; q: string; matches: readonly number[]; current: number }) {
  if (matches.length === 0) return <>{showControls(text)}</>;
  const parts = matches.map((at, n) => {
    const from = n === 0 ? 0 : matches[n - 1]! + q.length;
    return (
      <>
        {showControls(text.slice(from, at))}
        <mark class={n === current ? 'current' : undefined}>{showControls(text.slice(at, at + q.length))}</mark>
      </>
    );
  });
  return (
    <>
      {parts}
      {showControls(text.slice(matches.at(-1)! + q.length))}
    </>
  );
}
