// The search in the head of every page: events, webhooks, brands and types of the API, and the console's own pages.
// `/` and ⌘K (Ctrl+K) lead here. It is a combobox: the focus stays in the field while the arrow keys select.

import { useEffect, useId, useMemo, useRef, useState } from 'preact/hooks';
import { search } from '../api/events';
import { toProblem, type Problem } from '../api/problem';
import { findHits, type Hit, type HitGroup, isFullId } from '../lib/search-hits';
import { navigate, OptionLink, where } from '../router';
import { isSupport, me } from '../session';
import { Badge } from './basics';
import { Icon } from './icon';
import { useDismiss } from './menu';

/** Time without a key press after which the API is asked. */
const TYPING_DELAY_MS = 160;
/** Shorter texts would match nearly everything. */
const MIN_LENGTH = 2;

interface Answer {
  q: string;
  groups: HitGroup[];
  problem: Problem | null;
}

function useAnswer(q: string, pages: readonly (readonly [string, string])[]): { answer: Answer; busy: boolean } {
  const [answer, setAnswer] = useState<Answer>({ q: '', groups: [], problem: null });
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    if (q.length < MIN_LENGTH) {
      setAnswer({ q, groups: findHits(q, null, pages, isSupport(), me().brandId), problem: null });
      setBusy(false);
      return;
    }
    const own = new AbortController();
    setBusy(true);
    const timer = setTimeout(async () => {
      try {
        const found = await search(me().brandId, q, own.signal);
        if (!own.signal.aborted) setAnswer({ q, groups: findHits(q, found, pages, isSupport(), me().brandId), problem: null });
      } catch (error) {
        if (!own.signal.aborted) setAnswer({ q, groups: findHits(q, null, pages, isSupport(), me().brandId), problem: toProblem(error) });
      } finally {
        if (!own.signal.aborted) setBusy(false);
      }
    }, TYPING_DELAY_MS);
    return () => {
      clearTimeout(timer);
      own.abort();
    };
  }, [q]);
  return { answer, busy };
}

const isTyping = (target: EventTarget | null) => target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

/** Focuses the field on `/`, and on ⌘K or Ctrl+K even while the reader types elsewhere. */
function useShortcut(focus: () => void) {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (document.querySelector('dialog[open]')) return;
      const isCommand = (event.metaKey || event.ctrlKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === 'k';
      const isSlash = event.key === '/' && !event.metaKey && !event.ctrlKey && !event.altKey && !isTyping(event.target);
      if (!isCommand && !isSlash) return;
      event.preventDefault();
      focus();
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}

export function SearchBox({ pages }: { pages: readonly (readonly [string, string])[] }) {
  const [text, setText] = useState('');
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const field = useRef<HTMLInputElement>(null);
  /** The text whose first result opens as soon as it is there, because Enter came before the answer. */
  const entered = useRef<string | null>(null);
  const id = useId();
  const q = text.trim();
  const { answer, busy } = useAnswer(q, pages);
  const hits = useMemo(() => answer.groups.flatMap((group) => group.hits), [answer]);
  const box = useDismiss(open, () => setOpen(false));
  useShortcut(() => {
    field.current?.focus();
    field.current?.select();
    setOpen(true);
  });
  useEffect(() => {
    setActive(0);
    const first = hits[0];
    if (first && entered.current === answer.q) go(first);
  }, [answer]);
  useEffect(() => {
    entered.current = null;
    setOpen(false);
    setText('');
  }, [where.value.path]);
  useEffect(() => document.getElementById(`${id}-${active}`)?.scrollIntoView({ block: 'nearest' }), [active]);

  const go = (hit: Hit) => {
    entered.current = null;
    setOpen(false);
    setText('');
    navigate(hit.to);
  };
  const keys = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape') {
      entered.current = null;
      if (text) setText('');
      else field.current?.blur();
      setOpen(false);
    } else if (event.key === 'Enter') {
      const hit = hitOf(q, answer.q, hits[active]);
      if (hit) go(hit);
      else if (answer.q !== q) entered.current = q;
    } else if (step) {
      event.preventDefault();
      if (!open) setOpen(true);
      else if (hits.length > 0) setActive((active + step + hits.length) % hits.length);
    }
  };
  const shown = open && (q.length > 0 || hits.length > 0);
  return (
    <div class="search" role="search" ref={box}>
      <Icon name="search" />
      <input
        ref={field}
        // The type definitions demand a datalist of such a field; its list is below.
        {...({ type: 'search', role: 'combobox' } as object)}
        aria-label="Search events, keys, webhooks, brands and types"
        aria-expanded={shown && hits.length > 0}
        aria-controls={hits.length > 0 ? `${id}-list` : undefined}
        aria-autocomplete="list"
        aria-activedescendant={shown && hits[active] ? `${id}-${active}` : undefined}
        aria-keyshortcuts="/ Control+K Meta+K"
        placeholder={isSupport() ? 'Search event id, key, webhook, brand, type' : 'Search event id, key, webhook, type'}
        autoComplete="off"
        spellcheck={false}
        value={text}
        onFocus={() => setOpen(true)}
        onInput={(event) => {
          entered.current = null;
          setText(event.currentTarget.value);
          setOpen(true);
        }}
        onKeyDown={keys}
      />
      <kbd aria-hidden="true">/</kbd>
      <div class="search-results" hidden={!shown}>
        {hits.length > 0 && <Results id={id} groups={answer.groups} hits={hits} active={active} setActive={setActive} go={go} />}
        <Status q={q} busy={busy} answer={answer} found={hits.length} />
      </div>
    </div>
  );
}

/** An answer to an older text would open the wrong page; a whole id is right in any case. */
function hitOf(q: string, answered: string, selected: Hit | undefined): Hit | undefined {
  if (answered === q) return selected;
  return isFullId(q) ? findHits(q, null, [], isSupport(), me().brandId)[0]?.hits[0] : undefined;
}

interface ResultsProps {
  id: string;
  groups: readonly HitGroup[];
  hits: readonly Hit[];
  active: number;
  setActive: (at: number) => void;
  go: (hit: Hit) => void;
}

const Results = ({ id, groups, hits, active, setActive, go }: ResultsProps) => (
  <div id={`${id}-list`} role="listbox" aria-label="Results">
    {groups.map((group) => (
      <div role="group" key={group.label} aria-label={group.label}>
        <p class="search-group" aria-hidden="true">
          {group.label}
        </p>
        {group.hits.map((hit) => {
          const at = hits.indexOf(hit);
          return <Option key={hit.key} hit={hit} id={`${id}-${at}`} selected={at === active} hover={() => setActive(at)} go={go} />;
        })}
      </div>
    ))}
  </div>
);

function Option({ hit, id, selected, hover, go }: { hit: Hit; id: string; selected: boolean; hover: () => void; go: (hit: Hit) => void }) {
  return (
    <OptionLink to={hit.to} id={id} class="search-hit" selected={selected} hover={hover} follow={() => go(hit)}>
      <Icon name={hit.icon} />
      <span class="search-text">
        <span class={hit.mono ? 'mono' : undefined}>{hit.title}</span>
        {hit.note && <span class="search-note">{hit.note}</span>}
      </span>
      {hit.state && hit.tone && <Badge tone={hit.tone}>{hit.state}</Badge>}
    </OptionLink>
  );
}

function Status({ q, busy, answer, found }: { q: string; busy: boolean; answer: Answer; found: number }) {
  return (
    <p class={`search-status ${answer.problem ? 'error-text' : ''}`} role="status">
      {statusOf(q, busy, answer, found)}
    </p>
  );
}

function statusOf(q: string, busy: boolean, { q: answered, problem }: Answer, found: number): string {
  if (problem?.status === 404) return 'This API has no search yet. Pages and whole event ids still work.';
  if (problem) return `The search failed: ${problem.detail}`;
  if (busy && answered !== q) return 'Searching…';
  if (q.length < MIN_LENGTH) return 'Type an event id, a key such as an order number, part of a URL, a brand or a type.';
  if (found === 0) return 'Nothing matches. Events are found by their whole id, message id or key.';
  return `${found} ${found === 1 ? 'result' : 'results'}; select with the arrow keys, open with Enter.`;
}
