// Sends the ticked events once more, a few at a time, and shows how far it is.

import { useEffect, useRef, useState } from 'preact/hooks';
import { problemOf, type Problem } from '../api/problem';
import { redeliverEvent, type Place } from '../api/webhooks';
import { many } from '../lib/format';
import { announce } from '../ui/announce';
import { Button, ProblemNote, Progress } from '../ui/basics';

const AT_ONCE = 4;
/** After this long most endpoints have answered. */
const LOOK_AFTER_MS = 2000;
/** Rows that are looked at again one by one. */
const MOST_LOOKED_AT = 100;

interface Props {
  place: Place;
  ids: readonly string[];
  clear: () => void;
  refresh: (ids: readonly string[]) => Promise<void>;
}

export function SelectionBar({ place, ids, clear, refresh }: Props) {
  const [done, setDone] = useState<number | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const stopped = useRef(false);
  useEffect(() => () => void (stopped.current = true), []);

  const run = async () => {
    setProblem(null);
    setDone(0);
    const left = [...ids];
    const worker = async () => {
      for (let id = left.shift(); id && !stopped.current; id = left.shift()) {
        await redeliverEvent(place, id);
        setDone((n) => (n ?? 0) + 1);
      }
    };
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      announce(`${many(ids.length, 'event')} queued once more.`);
      clear();
      setTimeout(() => void refresh(ids.slice(0, MOST_LOOKED_AT)), LOOK_AFTER_MS);
    } catch (error) {
      left.length = 0;
      setProblem(problemOf(error));
    } finally {
      setDone(null);
    }
  };

  return (
    <div class="selection" role="region" aria-label="Selection">
      <p>
        <strong>{many(ids.length, 'event')} selected</strong>
      </p>
      {done !== null && <Progress label={`${done} of ${ids.length} queued`} done={done} of={ids.length} />}
      <ProblemNote problem={problem} />
      <div class="buttons">
        <Button kind="main" onClick={run} busy={done !== null}>
          Redeliver
        </Button>
        <Button onClick={clear} disabled={done !== null}>
          Clear selection
        </Button>
      </div>
    </div>
  );
}
