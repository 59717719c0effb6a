// The API's sentences name times in UTC, without the date if they are within twelve hours. A page shows all its times in
// the zone of the switch.

import { clockSeconds, localTime } from './format';
import { zoneName } from './zone';

const TIME = /\b(?:(\d{4}-\d{2}-\d{2}) )?(\d{2}:\d{2}:\d{2}) UTC\b/g;
const DAY_MS = 86_400_000;

/** Replaces the times of a sentence with times in the zone of the switch. */
export function inChosenZone(sentence: string, nowMs: number = Date.now()): string {
  return sentence.replace(TIME, (text, day: string | undefined, time: string) => {
    const at = day ? Date.parse(`${day}T${time}Z`) : nearest(time, nowMs);
    if (Number.isNaN(at)) return text;
    return day ? localTime(at) : `${clockSeconds(at)} ${zoneName(at)}`;
  });
}

/** The instant with this time of the day in UTC that is nearest to now. */
function nearest(time: string, nowMs: number): number {
  const today = Date.parse(`${new Date(nowMs).toISOString().slice(0, 10)}T${time}Z`);
  return today - Math.round((today - nowMs) / DAY_MS) * DAY_MS;
}
