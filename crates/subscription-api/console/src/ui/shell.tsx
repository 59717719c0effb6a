// The frame of every page: navigation, the signed-in identity, and the page heading.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { Link, to, where } from '../router';
import { endSession, isSupport, me } from '../session';
import { paused, refreshedAt, second } from '../lib/clock';
import { useScrollPlace } from '../lib/places';
import { theme, type Theme } from '../lib/theme';
import { chooseZone, localZone, zone, zoneName } from '../lib/zone';
import { Announcements } from './announce';
import { Icon } from './icon';
import { SearchBox } from './search-box';
import { TimeCard } from './time-card';

function destinations(): [path: string, label: string][] {
  if (isSupport()) {
    return [
      ['/', 'Overview'],
      ['/events', 'Events'],
      ['/webhooks', 'Webhooks'],
      ['/jobs', 'Jobs'],
      ['/brands', 'Brands'],
      ['/catalogue', 'Catalogue'],
      ['/rejected', 'Rejected events'],
      ['/tokens', 'Support tokens'],
      ['/audit', 'Audit'],
    ];
  }
  const brand = me().brandId ?? '';
  return [
    ['/', 'Overview'],
    [to.events(brand), 'Events'],
    [to.webhooks(brand), 'Webhooks'],
    [to.jobs(brand), 'Jobs'],
    [to.types(brand), 'Event types'],
    [to.tokens(brand), 'Tokens'],
    [to.audit(brand), 'Audit'],
    [to.guide(brand), 'Setup guide'],
  ];
}

function isHere(path: string): boolean {
  const own = where.value.path;
  if (path === '/') return own === '/';
  // The form of a new webhook is beside the brand's own list, but below support's list of brands.
  if (!isSupport() && path.endsWith('/webhooks') && own.endsWith('/new-webhook')) return true;
  return own === path || own.startsWith(`${path}/`);
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
    <div class="column">
      <section class="top" aria-label="Search and display">
        <SearchBox pages={destinations()} />
        <Refreshed />
        <ZoneSwitch />
      </section>
      <main id="page" tabIndex={-1}>
        {children}
      </main>
    </div>
    <TimeCard />
    <Announcements />
  </div>
);

/** The zone of every time on the page. */
const ZoneSwitch = () => (
  <div class="segments zone" role="group" aria-label="Time zone">
    <button type="button" aria-pressed={zone.value === 'local'} title={`Show times in your time zone, ${localZone()}`} onClick={() => chooseZone('local')}>
      {zoneName(Date.now(), 'local')}
    </button>
    <button type="button" aria-pressed={zone.value === 'utc'} title="Show times in UTC" onClick={() => chooseZone('utc')}>
      UTC
    </button>
  </div>
);

/** How old the page's figures are, with a button that stops the refresh. */
function Refreshed() {
  const at = refreshedAt.value;
  const path = where.value.path;
  useEffect(() => {
    // The next page says itself whether its figures are live.
    return () => {
      refreshedAt.value = null;
      paused.value = false;
    };
  }, [path]);
  if (at === null) return null;
  const seconds = Math.max(0, Math.round((second.value - at) / 1000));
  const stopped = paused.value;
  return (
    <div class="refreshed">
      <span class="muted">{stopped ? `Paused, ${seconds} s old` : `Updated ${seconds} s ago`}</span>
      <button type="button" class="icon-button" aria-pressed={stopped} aria-label="Pause the refresh" title={stopped ? 'Refresh again' : 'Pause the refresh'} onClick={() => (paused.value = !stopped)}>
        <Icon name={stopped ? 'play' : 'pause'} />
      </button>
    </div>
  );
}

interface HeadingProps {
  title: string;
  /** Breadcrumbs: [address, name]. */
  up?: readonly (readonly [string, string])[];
  /** A badge beside the title. */
  badge?: ComponentChildren;
  /** Whether the title is an id or a type. */
  mono?: boolean;
  actions?: ComponentChildren;
  children?: ComponentChildren;
}

/** The heading takes the focus when a page opens, so that screen readers continue from there. */
export function Heading({ title, up = [], badge, mono = false, actions, children }: HeadingProps) {
  const heading = useRef<HTMLHeadingElement>(null);
  const path = where.value.path;
  useEffect(() => {
    document.title = `${title} – Postrider`;
  }, [title]);
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
  }, [path]);
  useScrollPlace(path);
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
        <div class="heading-title">
          <h1 ref={heading} tabIndex={-1} class={mono ? 'mono' : undefined}>
            {title}
          </h1>
          {badge}
        </div>
        {actions && <div class="actions">{actions}</div>}
      </div>
      {children}
    </div>
  );
}

/** Tabs with the pages of a brand, for support. */
export function BrandTabs({ brand }: { brand: string }) {
  const tabs: [string, string][] = [
    [to.brand(brand), 'Overview'],
    [to.webhooks(brand), 'Webhooks'],
    [to.events(brand), 'Events'],
    [to.jobs(brand), 'Jobs'],
    [to.types(brand), 'Event types'],
    [to.tokens(brand), 'Tokens'],
    [to.audit(brand), 'Audit'],
    [to.settings(brand), 'Settings'],
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
