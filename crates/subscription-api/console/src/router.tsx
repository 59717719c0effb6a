// The path below /console and its query, which select the page.

import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { enter, newEntry } from './lib/places';

export const BASE = '/console';

interface Where {
  path: string;
  query: URLSearchParams;
}

const here = (): Where => ({
  path: location.pathname.slice(BASE.length) || '/',
  query: new URLSearchParams(location.search),
});

enter();
export const where = signal<Where>(here());

addEventListener('popstate', () => {
  enter();
  where.value = here();
});

export function navigate(to: string, { replace = false } = {}): void {
  const samePage = to.split('?')[0] === where.peek().path;
  if (replace) history.replaceState(samePage ? history.state : newEntry(), '', BASE + to);
  else history.pushState(newEntry(), '', BASE + to);
  enter();
  where.value = here();
}

/** Changes query parameters in place. Filters are part of the URL, so that people can share it. */
export function setQuery(changes: Record<string, string>, { push = false } = {}): void {
  const query = new URLSearchParams(where.value.query);
  for (const [name, value] of Object.entries(changes)) value ? query.set(name, value) : query.delete(name);
  const text = query.toString();
  navigate(where.value.path + (text ? `?${text}` : ''), { replace: !push });
}

export type Params = Record<string, string>;

/** The properties of a page: the parameters of its path. */
export interface PageProps {
  params: Params;
}

/** Returns the parameters of `path` if it matches `pattern`, such as /brands/:brand. */
export function match(pattern: string, path: string): Params | null {
  const wanted = pattern.split('/').filter(Boolean);
  const given = path.split('/').filter(Boolean);
  if (wanted.length !== given.length) return null;
  const params: Params = {};
  for (const [n, part] of wanted.entries()) {
    const text = given[n] ?? '';
    if (part.startsWith(':')) {
      try {
        params[part.slice(1)] = decodeURIComponent(text);
      } catch {
        return null;
      }
    } else if (part !== text) return null;
  }
  return params;
}

interface LinkProps {
  to: string;
  children: ComponentChildren;
  class?: string;
  title?: string | undefined;
  id?: string;
  'aria-current'?: 'page' | undefined;
}

const opensElsewhere = (event: MouseEvent) => event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;

/** A link within the console. New tabs and copied addresses work as with any link. */
export function Link({ to, children, ...rest }: LinkProps) {
  const follow = (event: MouseEvent) => {
    if (opensElsewhere(event)) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <a {...rest} href={BASE + to} onClick={follow}>
      {children}
    </a>
  );
}

interface OptionProps {
  to: string;
  id: string;
  class: string;
  selected: boolean;
  hover: () => void;
  follow: () => void;
  children: ComponentChildren;
}

/** A link that is an option of a list. The field of the list operates it, so it takes no focus of its own. */
export function OptionLink({ to, id, class: name, selected, hover, follow, children }: OptionProps) {
  const click = (event: MouseEvent) => {
    if (opensElsewhere(event)) return;
    event.preventDefault();
    follow();
  };
  return (
    <a role="option" id={id} class={name} aria-selected={selected} href={BASE + to} tabIndex={-1} onPointerMove={hover} onClick={click}>
      {children}
    </a>
  );
}

const part = encodeURIComponent;

/** Builds the paths of the pages. */
export const to = {
  brand: (brand: string) => `/brands/${part(brand)}`,
  webhooks: (brand: string) => `/brands/${part(brand)}/webhooks`,
  newWebhook: (brand: string) => `/brands/${part(brand)}/new-webhook`,
  webhook: (brand: string, webhook: string) => `/brands/${part(brand)}/webhooks/${part(webhook)}`,
  editWebhook: (brand: string, webhook: string) => `/brands/${part(brand)}/webhooks/${part(webhook)}/edit`,
  event: (brand: string, webhook: string, event: string) =>
    `/brands/${part(brand)}/webhooks/${part(webhook)}/events/${part(event)}`,
  /** An event without a webhook in its address: "Where is my event?" */
  lookup: (brand: string, event: string) => `/brands/${part(brand)}/events/${part(event)}`,
  events: (brand: string) => `/brands/${part(brand)}/events`,
  /** An event of which only the id or the message id is known; for support. */
  anyEvent: (id: string) => `/events/${part(id)}`,
  /** The page that follows the creation of a webhook. */
  created: (brand: string, webhook: string) => `/brands/${part(brand)}/webhooks/${part(webhook)}/created`,
  types: (brand: string) => `/brands/${part(brand)}/event-types`,
  jobs: (brand: string) => `/brands/${part(brand)}/jobs`,
  audit: (brand: string) => `/brands/${part(brand)}/audit`,
  settings: (brand: string) => `/brands/${part(brand)}/settings`,
  tokens: (brand: string) => `/brands/${part(brand)}/tokens`,
  guide: (brand: string) => `/brands/${part(brand)}/guide`,
  type: (type: string) => `/catalogue/${part(type)}`,
};
