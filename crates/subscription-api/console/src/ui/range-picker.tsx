// Chooses the time range of a page: a preset, or a range of the reader's own.

import { useState } from 'preact/hooks';
import { shortTime } from '../lib/format';
import { choosePreset, chooseRange, currentRange, PRESETS, type Preset } from '../lib/time-range';
import { zoneName } from '../lib/zone';
import { Button } from './basics';
import { useDismiss } from './menu';
import { TimeField } from './time-field';

const LABELS: Record<Preset, [short: string, long: string]> = {
  '1h': ['1 h', 'Last hour'],
  '24h': ['24 h', 'Last 24 hours'],
  '7d': ['7 d', 'Last 7 days'],
};

export const describePreset = (preset: Preset): string => LABELS[preset][1];

export function RangePicker({ fallback }: { fallback: Preset }) {
  const range = currentRange(fallback);
  const [open, setOpen] = useState(false);
  const box = useDismiss(open, () => setOpen(false));
  const own = range.preset === null;
  return (
    <div class="range" role="group" aria-label="Time range" ref={box}>
      <div class="segments">
        {(Object.keys(PRESETS) as Preset[]).map((preset) => (
          <button key={preset} type="button" aria-pressed={range.preset === preset} title={LABELS[preset][1]} onClick={() => choosePreset(preset)}>
            {LABELS[preset][0]}
          </button>
        ))}
        <button type="button" aria-pressed={own} aria-expanded={open} onClick={() => setOpen(!open)}>
          {own ? `${shortTime(range.from)} – ${shortTime(range.to)} ${zoneName(range.from)}` : 'Custom…'}
        </button>
      </div>
      {open && <OwnRange from={range.from} to={range.to} onClose={() => setOpen(false)} />}
    </div>
  );
}

function OwnRange({ from: givenFrom, to: givenTo, onClose }: { from: string; to: string; onClose: () => void }) {
  const [from, setFrom] = useState(givenFrom);
  const [to, setTo] = useState(givenTo);
  const inverted = Boolean(from && to) && from >= to;
  const submit = (event: Event) => {
    event.preventDefault();
    if (!from || !to || inverted) return;
    chooseRange(from, to);
    onClose();
  };
  return (
    <form class="range-own" onSubmit={submit}>
      <TimeField label="From" value={from} onChange={setFrom} required />
      <TimeField label="Until" value={to} onChange={setTo} required errors={inverted ? ['It must be after "From".'] : []} />
      <div class="buttons">
        <Button type="submit" kind="main" disabled={!from || !to || inverted}>
          Apply
        </Button>
        <Button onClick={onClose}>Cancel</Button>
      </div>
    </form>
  );
}
