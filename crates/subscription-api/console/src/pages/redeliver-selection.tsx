// Redelivers the selected events, a few at a time, and shows the progress.

import { useEffect, useRef, useState } from 'preact/hooks';
import { toProblem, type Problem } from '../api/problem';
import { redeliverEvent, type WebhookRef } from '../api/webhooks';
import { pluralize } from '../lib/format';
import { announce } from '../ui/announce';
import { Button, ProblemNote, Progress } from '../ui/basics';

const MAX_CONCURRENT = 4;
/** Delay before the list is refreshed. Most endpoints have responded by then. */
const REFRESH_DELAY_MS = 2000;
/** Maximum number of rows that are read again one by one. */
const MAX_REFRESHED = 100;

interface Props {
  webhookRef: WebhookRef;
  ids: readonly string[];
  clear: () => void;
  refresh: (ids: readonly string[]) => Promise<void>;
}

export function SelectionBar({ webhookRef, ids, clear, refresh }: Props) {
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
        await redeliverEvent(webhookRef, id);
        setDone((n) => (n ?? 0) + 1);
      }
    };
    try {
      await Promise.all(Array.from({ length: MAX_CONCURRENT }, worker));
      announce(`${pluralize(ids.length, 'event')} queued for redelivery.`);
      clear();
      setTimeout(() => void refresh(ids.slice(0, MAX_REFRESHED)), REFRESH_DELAY_MS);
    } catch (error) {
      left.length = 0;
      setProblem(toProblem(error));
    } finally {
      setDone(null);
    }
  };

  return (
    <div class="selection" role="region" aria-label="Selection">
      <p>
        <strong>{pluralize(ids.length, 'event')} selected</strong>
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
