// A card for the time below the pointer, or for the one that was tapped: both zones, how long ago, and RFC 3339 as the
// API and the command line take it, to copy. One card serves the whole page.

import { useEffect, useRef, useState } from 'preact/hooks';
import { ago, zonedTime } from '../lib/format';
import { localZone } from '../lib/zone';
import { Copy } from './basics';

/** Time that the pointer must rest on a time, so that a passing pointer opens nothing. */
const OPEN_DELAY_MS = 350;
/** Time to move the pointer from the time to the card. */
const CLOSE_DELAY_MS = 250;
const CARD_WIDTH = 300;
const CARD_HEIGHT = 150;

interface Shown {
  at: string;
  left: number;
  top: number;
}

function placeBeside(element: Element): Shown {
  const box = element.getBoundingClientRect();
  const below = box.bottom + 6 + CARD_HEIGHT < innerHeight;
  return {
    at: element.getAttribute('datetime') ?? '',
    left: Math.max(8, Math.min(box.left, innerWidth - CARD_WIDTH - 8)),
    top: below ? box.bottom + 6 : Math.max(8, box.top - CARD_HEIGHT - 6),
  };
}

export function TimeCard() {
  const [shown, setShown] = useState<Shown | null>(null);
  const card = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let timer = 0;
    const timeOf = (event: Event) => (event.target instanceof Element ? event.target.closest('time[datetime]') : null);
    const inCard = (event: Event) => event.target instanceof Node && card.current?.contains(event.target);
    const later = (delay: number, run: () => void) => {
      clearTimeout(timer);
      timer = setTimeout(run, delay);
    };
    const over = (event: PointerEvent) => {
      if (event.pointerType === 'touch') return;
      if (inCard(event)) return clearTimeout(timer);
      const found = timeOf(event);
      if (found) later(OPEN_DELAY_MS, () => setShown(placeBeside(found)));
      else later(CLOSE_DELAY_MS, () => setShown(null));
    };
    const tap = (event: MouseEvent) => {
      if (inCard(event)) return;
      const found = timeOf(event);
      // A time inside a link or a button does what that does.
      const isAction = event.target instanceof Element && event.target.closest('a, button');
      setShown(found && !isAction ? placeBeside(found) : null);
    };
    const close = (event: Event) => {
      if (event instanceof KeyboardEvent && event.key !== 'Escape') return;
      clearTimeout(timer);
      setShown(null);
    };
    document.addEventListener('pointerover', over);
    document.addEventListener('click', tap);
    document.addEventListener('keydown', close);
    addEventListener('scroll', close, true);
    return () => {
      clearTimeout(timer);
      document.removeEventListener('pointerover', over);
      document.removeEventListener('click', tap);
      document.removeEventListener('keydown', close);
      removeEventListener('scroll', close, true);
    };
  }, []);
  if (!shown) return null;
  const { at, left, top } = shown;
  return (
    <div class="time-card" ref={card} role="group" aria-label="Time" style={{ left: `${left}px`, top: `${top}px` }}>
      <dl>
        <dt>{localZone()}</dt>
        <dd>{zonedTime(at, 'local')}</dd>
        <dt>UTC</dt>
        <dd>{zonedTime(at, 'utc')}</dd>
        <dt>Relative</dt>
        <dd>{ago(at, Date.now())}</dd>
      </dl>
      <p class="id">
        <code>{at}</code>
        <Copy text={at} what="time" small />
      </p>
    </div>
  );
}
