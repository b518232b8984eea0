import { ago } from './time';
import type { Contact, HistoryEntry } from './types';
import { t, type WordKey } from './words';

const MINUTE = 60_000;

/** Whether someone can be reached, in a few words. */
export function presenceLine(contact: Contact, now: number): string {
  if (contact.blocked) return t('presence.blocked');
  if (contact.presence === 'online') return t('presence.online');
  if (contact.lastSeenMs === null) return t(contact.presence === 'offline' ? 'presence.offline' : 'presence.not-seen');
  if (now - contact.lastSeenMs < MINUTE) return t('presence.last-seen-now');
  return t('presence.last-seen', { ago: ago(contact.lastSeenMs, now) });
}

/** A call someone here did not hear or take, and may want to return. */
export function isMissed(entry: HistoryEntry): boolean {
  return entry.direction === 'incoming' && (entry.reason === 'missed' || entry.reason === 'no-answer');
}

/** What became of a past call when it did not come to a talk; else `null`. */
export function outcome(entry: HistoryEntry): WordKey | null {
  if (entry.durationMs > 0) return null;
  if (isMissed(entry)) return 'history.missed';
  switch (entry.reason) {
    case 'declined':
      return 'history.declined';
    case 'declined-here':
      return 'history.declined-here';
    case 'no-answer':
      return 'history.no-answer';
    case 'busy':
      return 'history.busy';
    case 'cancelled':
      return 'history.cancelled';
    case 'unreachable':
    case 'not-signed-in':
      return 'history.unreachable';
    case 'hung-up':
    case 'remote-hung-up':
    case 'missed':
    case 'no-connection':
    case 'connection-lost':
    case 'incompatible':
    case 'failed':
      return 'history.not-connected';
  }
}
