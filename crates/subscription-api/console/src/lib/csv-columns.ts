// The columns of the lists that can be exported. The names are those of the API, and so are the times, in UTC.

import type { AuditEntry, Brand, EventRow, EventView, Webhook } from '../api/types';
import { entryNote } from './audit';
import type { CsvColumn } from './csv';

/** A group may be enabled, and some of its types disabled. */
const typesOf = ({ eventTypes }: Brand, enabled: boolean) =>
  eventTypes.filter((entry) => entry.enabled === enabled).map(({ typeOrGroup }) => typeOrGroup).join(' ');

export const WEBHOOK_CSV: readonly CsvColumn<Webhook>[] = [
  ['brand', ({ brandId }) => brandId],
  ['id', ({ id }) => id],
  ['description', ({ description }) => description],
  ['endpoint', ({ endpoint }) => endpoint],
  ['status', ({ status }) => status],
  ['health', ({ health }) => health?.state],
  ['since', ({ health }) => health?.since],
  ['disablesAt', ({ health }) => health?.disablesAt],
  ['disabledReason', ({ disabled }) => disabled?.reason],
  ['events', ({ events }) => events.join(' ')],
  ['created', ({ created }) => created],
];

export const BRAND_CSV: readonly CsvColumn<Brand>[] = [
  ['brand', ({ brandId }) => brandId],
  ['name', ({ name }) => name],
  ['contactName', ({ contact }) => contact?.name],
  ['contactEmail', ({ contact }) => contact?.email],
  ['eventTypes', (brand) => typesOf(brand, true)],
  ['disabledEventTypes', (brand) => typesOf(brand, false)],
  ['created', ({ created }) => created],
];

export const EVENT_CSV: readonly CsvColumn<EventView>[] = [
  ['id', ({ id }) => id],
  ['type', ({ type }) => type],
  ['key', ({ key }) => key],
  ['created', ({ created }) => created],
  ['received', ({ received }) => received],
  ['disposition', ({ disposition }) => disposition],
  ['reason', ({ reason }) => reason],
  ['detail', ({ detail }) => detail],
  ['test', ({ test }) => test ?? false],
];

export const DELIVERY_CSV: readonly CsvColumn<EventRow>[] = [
  ['id', ({ id }) => id],
  ['type', ({ type }) => type],
  ['created', ({ created }) => created],
  ['status', ({ delivery }) => delivery.status],
  ['attempts', ({ delivery }) => delivery.attempts],
  ['lastAttemptAt', ({ delivery }) => delivery.lastAttemptAt],
  ['nextAttemptAt', ({ delivery }) => delivery.nextAttemptAt],
  ['statusCode', ({ delivery }) => delivery.statusCode],
  ['lastError', ({ delivery }) => delivery.lastError],
  ['test', ({ test }) => test ?? false],
];

export const AUDIT_CSV: readonly CsvColumn<AuditEntry>[] = [
  ['at', ({ at }) => at],
  ['actor', ({ actor }) => actor],
  ['action', ({ action }) => action],
  ['brand', ({ brandId }) => brandId],
  ['subject', ({ subject }) => subject],
  ['outcome', ({ outcome }) => outcome],
  ['note', entryNote],
];
