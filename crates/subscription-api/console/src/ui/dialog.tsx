// Modal dialogs. The browser's own dialog element keeps the focus inside and closes on Escape; the focus
// then returns to the element that opened it.

import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { toProblem, type Problem } from '../api/problem';
import { Button, ProblemNote } from './basics';
import { TextField } from './fields';

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  wide?: boolean;
}

let open = 0;

/**
 * Stops the page behind dialogs from scrolling. The backdrop does not cover the space of the scroll bar, so that space
 * becomes padding of the page meanwhile, and nothing moves.
 */
function useStillPage() {
  useEffect(() => {
    const root = document.documentElement;
    open += 1;
    if (open === 1) {
      root.style.setProperty('--scroll-bar', `${innerWidth - root.clientWidth}px`);
      root.classList.add('dialog-open');
    }
    return () => {
      open -= 1;
      if (open === 0) root.classList.remove('dialog-open');
    };
  }, []);
}

export function Dialog({ title, onClose, children, wide = false }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useStillPage();
  useEffect(() => {
    const opener = document.activeElement;
    dialog.current?.showModal();
    return () => {
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  return (
    <dialog ref={dialog} class={wide ? 'wide' : undefined} aria-labelledby={id} onClose={onClose}>
      <h2 id={id}>{title}</h2>
      {children}
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  children: ComponentChildren;
  action: string;
  /** Text that the reader must type to confirm. */
  typed?: string;
  danger?: boolean;
  run: () => Promise<unknown>;
  onClose: () => void;
}

/** Asks for confirmation, runs the action, and shows an error if it fails. */
export function Confirm({ title, children, action, typed, danger = true, run, onClose }: ConfirmProps) {
  const [text, setText] = useState('');
  const { busy, problem, go } = useRun(async () => {
    await run();
    onClose();
  });
  const submit = (event: Event) => {
    event.preventDefault();
    if (!typed || text.trim() === typed) void go();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form onSubmit={submit}>
        {children}
        {typed && (
          <TextField label={`Type ${typed} to confirm`} value={text} onChange={setText} autoComplete="off" />
        )}
        <ProblemNote problem={problem} />
        <div class="buttons">
          <Button type="submit" kind={danger ? 'danger' : 'main'} busy={busy} disabled={!!typed && text.trim() !== typed}>
            {action}
          </Button>
          <Button onClick={onClose}>Cancel</Button>
        </div>
      </form>
    </Dialog>
  );
}

/** Runs an action that may fail, one call at a time. */
export function useRun<A extends unknown[]>(work: (...args: A) => Promise<unknown>) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const running = useRef(false);
  const alive = useRef(true);
  useEffect(() => {
    alive.current = true;
    return () => {
      alive.current = false;
    };
  }, []);
  const go = async (...args: A) => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    setProblem(null);
    try {
      await work(...args);
    } catch (error) {
      if (alive.current) setProblem(toProblem(error));
    } finally {
      running.current = false;
      if (alive.current) setBusy(false);
    }
  };
  return { busy, problem, go, clear: () => setProblem(null) };
}
