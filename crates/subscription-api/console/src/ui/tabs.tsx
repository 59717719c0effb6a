// Tabs of a page or a card. The selected tab is part of the address, so that a link leads to it. Arrow keys move
// between tabs, as screen readers announce.

import type { ComponentChildren } from 'preact';
import { useId, useRef } from 'preact/hooks';
import { setQuery, where } from '../router';

export interface Tab {
  id: string;
  label: string;
  /** A number or a badge beside the label. */
  note?: ComponentChildren;
  /** Renders the panel; only that of the selected tab is rendered. */
  panel: () => ComponentChildren;
}

interface Props {
  label: string;
  tabs: readonly Tab[];
  /** The query parameter of the selected tab. The first tab needs none. */
  param?: string;
}

export function Tabs({ label, tabs, param = 'tab' }: Props) {
  const base = useId();
  const list = useRef<HTMLDivElement>(null);
  const given = where.value.query.get(param);
  const selected = tabs.find(({ id }) => id === given) ?? tabs[0];
  if (!selected) return null;
  const select = (tab: Tab) => setQuery({ [param]: tab === tabs[0] ? '' : tab.id });
  const move = (event: KeyboardEvent) => {
    const at = tabs.indexOf(selected);
    const last = tabs.length - 1;
    const to = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[event.key];
    const tab = to === undefined ? undefined : tabs[to];
    if (!tab) return;
    event.preventDefault();
    select(tab);
    list.current?.querySelectorAll<HTMLElement>('[role="tab"]')[to!]?.focus();
  };
  return (
    <div class="tabbed">
      <div class="tab-list" role="tablist" aria-label={label} ref={list} onKeyDown={move}>
        {tabs.map((tab) => (
          <button
            key={tab.id}
            type="button"
            role="tab"
            id={`${base}-${tab.id}`}
            aria-selected={tab === selected}
            aria-controls={tab === selected ? `${base}-panel` : undefined}
            tabIndex={tab === selected ? 0 : -1}
            onClick={() => select(tab)}
          >
            {tab.label}
            {tab.note !== undefined && <span class="tab-note">{tab.note}</span>}
          </button>
        ))}
      </div>
      <div class="tab-panel" role="tabpanel" id={`${base}-panel`} aria-labelledby={`${base}-${selected.id}`} key={selected.id}>
        {selected.panel()}
      </div>
    </div>
  );
}
