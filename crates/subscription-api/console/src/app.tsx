// Shows the page of the current path, or the sign-in page if nobody is signed in in any tab.

import type { ComponentType } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { readIdentity } from './api/me';
import { toProblem, type Problem } from './api/problem';
import { match, where, type PageProps } from './router';
import { askOtherTabs, beginSession, endSession, handedOver, isSupport, session, storedToken } from './session';
import { Loading, ProblemNote } from './ui/basics';
import { Shell } from './ui/shell';
import { SignIn } from './pages/sign-in';
import { Overview } from './pages/overview';
import { BrandOverview } from './pages/brand-overview';
import { AllWebhooks } from './pages/all-webhooks';
import { BrandWebhooks } from './pages/brand-webhooks';
import { NewWebhook, EditWebhook } from './pages/webhook-edit';
import { WebhookPage } from './pages/webhook';
import { EventPage } from './pages/event';
import { AnyEventPage, LookupPage } from './pages/event-lookup';
import { BrandEvents } from './pages/event-brand-list';
import { EventSearch } from './pages/event-search';
import { Brands } from './pages/brands';
import { BrandPage } from './pages/brand';
import { BrandTypes } from './pages/brand-types';
import { SupportTokens, Tokens } from './pages/tokens';
import { Guide } from './pages/guide';
import { Catalogue } from './pages/catalogue';
import { CatalogueEntry } from './pages/catalogue-entry';
import { RejectedEvents } from './pages/rejected';
import { Audit } from './pages/audit';
import { BrandSettings } from './pages/brand-settings';
import { CreatedWebhook } from './pages/created';
import { Jobs } from './pages/jobs';
import { NotFound } from './pages/not-found';

type PageComponent = ComponentType<PageProps>;

const COMMON: [string, PageComponent][] = [
  ['/brands/:brand/webhooks', BrandWebhooks],
  ['/brands/:brand/new-webhook', NewWebhook],
  ['/brands/:brand/webhooks/:webhook', WebhookPage],
  ['/brands/:brand/webhooks/:webhook/edit', EditWebhook],
  ['/brands/:brand/webhooks/:webhook/events/:event', EventPage],
  ['/brands/:brand/webhooks/:webhook/created', CreatedWebhook],
  ['/brands/:brand/events', BrandEvents],
  ['/brands/:brand/events/:event', LookupPage],
  ['/brands/:brand/event-types', BrandTypes],
  ['/brands/:brand/jobs', Jobs],
  ['/brands/:brand/tokens', Tokens],
  ['/brands/:brand/audit', Audit],
  ['/brands/:brand/guide', Guide],
];

const OF_BRANDS: [string, PageComponent][] = [['/', BrandOverview], ...COMMON];

const OF_SUPPORT: [string, PageComponent][] = [
  ['/', Overview],
  ...COMMON,
  ['/events', EventSearch],
  ['/events/:id', AnyEventPage],
  ['/webhooks', AllWebhooks],
  ['/jobs', Jobs],
  ['/brands', Brands],
  ['/brands/:brand', BrandPage],
  ['/brands/:brand/settings', BrandSettings],
  ['/catalogue', Catalogue],
  ['/catalogue/:type', CatalogueEntry],
  ['/rejected', RejectedEvents],
  ['/tokens', SupportTokens],
  ['/audit', Audit],
];

function CurrentPage() {
  const path = where.value.path;
  const pages = isSupport() ? OF_SUPPORT : OF_BRANDS;
  const [page, params] = useMemo(() => {
    for (const [pattern, page] of pages) {
      const params = match(pattern, path);
      if (params) return [page, params] as const;
    }
    return [NotFound, {}] as const;
  }, [path, pages]);
  const Page = page as PageComponent;
  return <Page key={path} params={params} />;
}

/** Verifies the token of a reload or of another tab before any page is shown. */
function Returning({ token }: { token: string }) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const restore = async () => {
    setProblem(null);
    try {
      beginSession(token, await readIdentity(token));
    } catch (error) {
      const problem = toProblem(error);
      if (problem.status === 401) endSession('Your token is no longer valid.');
      setProblem(problem);
    }
  };
  useEffect(() => void restore(), []);
  if (problem?.status === 401) return <SignIn />;
  return <main class="alone">{problem ? <ProblemNote problem={problem} retry={restore} /> : <Loading />}</main>;
}

/** Takes over the session of another tab, or shows the sign-in page, which also goes on once another tab signs in. */
function Arriving() {
  const [alone, setAlone] = useState(false);
  useEffect(() => void askOtherTabs().then((token) => setAlone(token === null)), []);
  const token = handedOver.value;
  if (token) return <Returning key={token} token={token} />;
  return alone ? <SignIn /> : <main class="alone" aria-busy="true" />;
}

export function App() {
  if (session.value) {
    return (
      <Shell>
        <CurrentPage />
      </Shell>
    );
  }
  const token = storedToken();
  return token ? <Returning token={token} /> : <Arriving />;
}
