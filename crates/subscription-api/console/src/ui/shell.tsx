// The frame of every page: navigation, the signed-in identity, and the page heading.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Link, to, where } from '../router';
import { endSession, isSupport, me } from '../session';
import { theme, type Theme } from '../lib/theme';
import { Announcements } from './announce';

function destinations(): [path: string, label: string][] {
  if (isSupport()) {
    return [
      ['/', 'Overview'],
      ['/webhooks', 'Webhooks'],
      ['/brands', 'Brands'],
      ['/catalogue', 'Catalogue'],
      ['/rejected', 'Rejected events'],
      ['/audit', 'Audit'],
    ];
  }
  const brand = me().brandId ?? '';
  return [
    ['/', 'Overview'],
    [to.webhooks(brand), 'Webhooks'],
    [to.types(brand), 'Event types'],
    [to.guide(brand), 'Setup guide'],
  ];
}

function isHere(path: string): boolean {
  const own = where.value.path;
  return path === '/' ? own === '/' : own === path || own.startsWith(`${path}/`) || (path.endsWith('/webhooks') && own.endsWith('/new-webhook'));
}

function Navigation() {
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [where.value.path]);
  return (
    <header class="bar">
      <a class="skip" href="#page">
        Skip to content
      </a>
      <Link to="/" class="logo">
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <rect width="32" height="32" rx="7" class="logo-back" />
          <path d="M7 10.5h11.5a5.5 5.5 0 0 1 0 11H13v3.5M4 16h8.5" class="logo-line" />
        </svg>
        Postrider
      </Link>
      <button type="button" class="button menu" aria-expanded={open} aria-controls="navigation" onClick={() => setOpen(!open)}>
        Menu
      </button>
      <div id="navigation" class={`navigation ${open ? 'open' : ''}`}>
        <nav aria-label="Main">
          <ul>
            {destinations().map(([path, label]) => (
              <li key={path}>
                <Link to={path} aria-current={isHere(path) ? 'page' : undefined}>
                  {label}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <Identity />
      </div>
    </header>
  );
}

function Identity() {
  const { role, brandId, name } = me();
  return (
    <div class="who">
      <p>
        <span class="muted">Signed in as</span>
        <br />
        <strong>{role === 'support' ? 'Support' : brandId}</strong>
        {name && <span class="muted"> · {name}</span>}
        {role === 'read' && <span class="muted"> (read only)</span>}
      </p>
      <ThemeChoice />
      <button type="button" class="button" onClick={() => endSession('You are signed out.')}>
        Sign out
      </button>
      <p>
        <a href="/docs">API documentation</a>
      </p>
    </div>
  );
}

export const ThemeChoice = () => (
  <label class="theme">
    <span>Theme</span>
    <select value={theme.value} onChange={(event) => (theme.value = event.currentTarget.value as Theme)}>
      <option value="system">System</option>
      <option value="light">Light</option>
      <option value="dark">Dark</option>
    </select>
  </label>
);

export const Shell = ({ children }: { children: ComponentChildren }) => (
  <div class="shell">
    <Navigation />
    <main id="page" tabIndex={-1}>
      {children}
    </main>
    <Announcements />
  </div>
);

interface HeadingProps {
  title: string;
  /** Breadcrumbs: [address, name]. */
  up?: readonly (readonly [string, string])[];
  actions?: ComponentChildren;
  children?: ComponentChildren;
}

/** The heading takes the focus when a page opens, so that screen readers continue from there. */
export function Heading({ title, up = [], actions, children }: HeadingProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  const path = where.value.path;
  useEffect(() => {
    document.title = `${title} – Postrider`;
  }, [title]);
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
    scrollTo(0, 0);
  }, [path]);
  return (
    <div class="heading">
      {up.length > 0 && (
        <nav aria-label="Breadcrumbs">
          <ol class="crumbs">
            {up.map(([address, name]) => (
              <li key={address}>
                <Link to={address}>{name}</Link>
              </li>
            ))}
          </ol>
        </nav>
      )}
      <div class="heading-line">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {actions && <div class="actions">{actions}</div>}
      </div>
      {children}
    </div>
  );
}

/** Tabs with the pages of a brand, for support. */
export function BrandTabs({ brand }: { brand: string }) {
  const tabs: [string, string][] = [
    [to.brand(brand), 'Contact'],
    [to.webhooks(brand), 'Webhooks'],
    [to.types(brand), 'Event types'],
    [to.tokens(brand), 'Tokens'],
    [to.guide(brand), 'Setup guide'],
  ];
  if (!isSupport()) return null;
  return (
    <nav class="tabs" aria-label={`Brand ${brand}`}>
      <ul>
        {tabs.map(([path, label]) => (
          <li key={path}>
            <Link to={path} aria-current={where.value.path === path ? 'page' : undefined}>
              {label}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  );
}
