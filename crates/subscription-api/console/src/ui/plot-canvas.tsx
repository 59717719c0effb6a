// The canvas of a plot: it draws, follows the pointer, and turns a drag into the time range of the page.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot, { type AlignedData, type Options } from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { snapSelection } from '../lib/chart';
import { repaint } from '../lib/theme';
import { chooseRange } from '../lib/time-range';
import { zone } from '../lib/zone';

const HEIGHT = 190;
/** A shorter drag is a click. */
const LEAST_DRAG_PX = 6;
/** The tip stays on the side of the pointer with more space. */
const TIP_GAP_PX = 14;

interface PlotProps {
  data: AlignedData;
  options: () => Omit<Options, 'width' | 'height'>;
  label: string;
  stepSeconds: number;
  /** Changes if the series change, so that the plot is drawn anew. */
  series: string;
  /** The content of the tip for the step with this index. */
  tip: (index: number) => ComponentChildren;
  /** Text over a plot without any value. */
  empty: string | null;
  select: boolean;
}

interface Hover {
  index: number;
  left: number;
  width: number;
}

export function Plot({ data, options, label, stepSeconds, series, tip, empty, select }: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [hover, setHover] = useState<Hover | null>(null);
  const version = `${repaint.value} ${zone.value}`;

  useEffect(() => {
    const target = box.current;
    if (!target) return;
    const hooks = {
      setCursor: [(self: uPlot) => setHover(hoverOf(self, stepSeconds))],
      setSelect: [(self: uPlot) => choose(self, stepSeconds)],
    };
    const width = Math.max(target.clientWidth, 200);
    const made = new uPlot({ ...options(), ...common(select), hooks, width, height: HEIGHT }, data, target);
    plot.current = made;
    const observer = new ResizeObserver(() => {
      if (target.clientWidth > 0) made.setSize({ width: target.clientWidth, height: HEIGHT });
    });
    observer.observe(target);
    return () => {
      observer.disconnect();
      made.destroy();
    };
    // New data goes into the existing plot (see below). Only new colours, steps or series need a new plot.
  }, [version, stepSeconds, series, empty === null]);

  useEffect(() => plot.current?.setData(data), [data]);

  return (
    <div class={`plot-box ${select ? 'selects' : ''}`}>
      <div class="plot" ref={box} role="img" aria-label={label} />
      {empty && <p class="plot-empty">{empty}</p>}
      {!empty && hover && hover.index < (data[0]?.length ?? 0) && (
        <div class={`tip ${hover.left > hover.width / 2 ? 'before' : 'after'}`} style={{ '--at': `${hover.left + (hover.left > hover.width / 2 ? -TIP_GAP_PX : TIP_GAP_PX)}px` }}>
          {tip(hover.index)}
        </div>
      )}
    </div>
  );
}

const isMove = (type: string) => type === 'mousemove' || type === 'mouseleave';

/** What all plots share: the zone of their axis, a cursor without marks, and no legend of uPlot's own. */
const common = (select: boolean): Pick<Options, 'legend' | 'tzDate' | 'cursor'> => ({
  legend: { show: false },
  tzDate: (at) => (zone.peek() === 'utc' ? uPlot.tzDate(new Date(at * 1000), 'Etc/UTC') : new Date(at * 1000)),
  cursor: {
    y: false,
    points: { show: false },
    drag: { x: select, y: false, setScale: false, dist: LEAST_DRAG_PX },
    // Plots of one page point at the same step. A drag concerns one of them, or it would choose the range twice.
    sync: { key: 'page', filters: { pub: isMove, sub: isMove } },
  },
});

/** The bar of a step begins at its time, so the step is the last one before the pointer. */
function stepAt(times: readonly number[], at: number, stepSeconds: number): number | null {
  const index = Math.floor((at - (times[0] ?? 0)) / stepSeconds);
  return index >= 0 && index < times.length ? index : null;
}

function hoverOf(plot: uPlot, stepSeconds: number): Hover | null {
  const { left } = plot.cursor;
  if (left === undefined || left < 0) return null;
  const index = stepAt(plot.data[0] as number[], plot.posToVal(left, 'x'), stepSeconds);
  return index === null ? null : { index, left: left + plot.over.offsetLeft, width: plot.width };
}

/** Makes the selected steps the time range of the page, and takes the selection away. */
function choose(plot: uPlot, stepSeconds: number): void {
  const { left, width } = plot.select;
  if (width < LEAST_DRAG_PX) return;
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  const range = snapSelection(plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x'), plot.data[0] as number[], stepSeconds);
  if (range) chooseRange(range.from, range.to);
}
