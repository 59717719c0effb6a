// The phases of an attempt, one after the other.

import type { Exchange, Outcome } from '../api/types';

export interface Phase {
  name: 'dns' | 'connect' | 'tls' | 'wait' | 'body' | 'failed';
  label: string;
  /** Milliseconds after the start of the attempt. */
  begin: number;
  length: number;
}

/** The phase in which an attempt without a response ended. */
const FAILED: Partial<Record<Outcome, string>> = { dns: 'Name lookup, failed', connect: 'Connect, failed', tls: 'TLS handshake, failed' };

/**
 * Each phase begins where the one before it ended. The rest of the duration is the body of the response, or the phase
 * that failed.
 */
export function phasesOf(timing: Exchange['timing'], durationMs: number, outcome: Outcome): Phase[] {
  if (!timing) return [];
  const isRecorded = [timing.dnsMs, timing.connectMs, timing.tlsMs, timing.firstByteMs].some((length) => length !== null);
  if (!isRecorded) return [];
  const measured: [Phase['name'], string, number | null][] = [
    ['dns', 'Name lookup', timing.dnsMs],
    ['connect', 'Connect', timing.connectMs],
    ['tls', 'TLS handshake', timing.tlsMs],
    ['wait', 'Waiting for the response', timing.firstByteMs],
  ];
  const phases: Phase[] = [];
  let begin = 0;
  for (const [name, label, length] of measured) {
    if (length === null) continue;
    phases.push({ name, label, begin, length });
    begin += length;
  }
  if (durationMs <= begin) return phases;
  const rest = { begin, length: durationMs - begin };
  if (timing.firstByteMs !== null) phases.push({ name: 'body', label: 'Reading the response', ...rest });
  else phases.push({ name: 'failed', label: FAILED[outcome] ?? 'No response', ...rest });
  return phases;
}
