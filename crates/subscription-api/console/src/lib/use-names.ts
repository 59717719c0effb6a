// Names of webhooks, for pages that get only their ids. The webhooks of each brand are read once and kept for a minute.

import { useEffect, useState } from 'preact/hooks';
import { listWebhooks } from '../api/webhooks';
import { webhookName } from './health';

export interface Named {
  brandId: string;
  name: string;
  endpoint: string;
}

const CACHE_TTL_MS = 60_000;
/** Maximum number of brands that one page asks for, because each costs a request. */
const MAX_BRANDS = 30;
const MAX_CONCURRENT = 3;

type Names = ReadonlyMap<string, Named>;
const kept = new Map<string, { at: number; names: Promise<Names> }>();

async function read(brand: string): Promise<Names> {
  try {
    const { items } = await listWebhooks(brand, { limit: 1000 });
    return new Map(items.map((webhook) => [webhook.id, { brandId: brand, name: webhookName(webhook), endpoint: webhook.endpoint }]));
  } catch {
    // A page without names shows ids.
    return new Map();
  }
}

function namesOf(brand: string): Promise<Names> {
  const found = kept.get(brand);
  if (found && Date.now() - found.at < CACHE_TTL_MS) return found.names;
  const names = read(brand);
  kept.set(brand, { at: Date.now(), names });
  return names;
}

/** Returns the names of the webhooks of these brands, as far as they were read. */
export function useNames(brands: readonly (string | null | undefined)[]): Names {
  const wanted = [...new Set(brands.filter((brand): brand is string => Boolean(brand)))].slice(0, MAX_BRANDS);
  const key = wanted.join(' ');
  const [names, setNames] = useState<Names>(new Map());
  useEffect(() => {
    let gone = false;
    const left = [...wanted];
    const worker = async () => {
      for (let brand = left.shift(); brand !== undefined && !gone; brand = left.shift()) {
        const found = await namesOf(brand);
        if (!gone) setNames((old) => new Map([...old, ...found]));
      }
    };
    void Promise.all(Array.from({ length: MAX_CONCURRENT }, worker));
    return () => {
      gone = true;
    };
  }, [key]);
  return names;
}
