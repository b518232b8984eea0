import { LOCALE, t, tn } from './words';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A running call's time: `0:07`, `12:04`, `1:02:09`. Negative counts as nothing. */
export function clock(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000));
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor((total % 3600) / 60);
  const seconds = String(total % 60).padStart(2, '0');
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${seconds}` : `${minutes}:${seconds}`;
}

/** How long something took, in words: `48 s`, `12 min`, `1 h 5 min`. */
export function length(ms: number): string {
  if (ms < MINUTE) return t('time.seconds', { count: Math.max(0, Math.round(ms / 1000)) });
  const minutes = Math.round(ms / MINUTE);
  if (minutes < 60) return t('time.minutes', { count: minutes });
  return t('time.hours', { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
}

/** How long ago, short: `now`, `5 min`, `3 h`, `2 d`, `4 wk`. */
export function ago(then: number, now: number): string {
  const gone = Math.max(0, now - then);
  if (gone < MINUTE) return t('time.now');
  if (gone < HOUR) return t('time.minutes', { count: Math.floor(gone / MINUTE) });
  if (gone < DAY) return t('time.hours-short', { count: Math.floor(gone / HOUR) });
  if (gone < 14 * DAY) return t('time.days-short', { count: Math.floor(gone / DAY) });
  return t('time.weeks-short', { count: Math.floor(gone / (7 * DAY)) });
}

function midnight(ms: number): number {
  const day = new Date(ms);
  day.setHours(0, 0, 0, 0);
  return day.getTime();
}

/** The day something happened: `Today`, `Yesterday`, a weekday within the last week, else the date. */
export function day(then: number, now: number): string {
  // Rounded, for a day may have 23 or 25 hours.
  const days = Math.round((midnight(now) - midnight(then)) / DAY);
  if (days <= 0) return t('time.today');
  if (days === 1) return t('time.yesterday');
  if (days < 7) return new Intl.DateTimeFormat(LOCALE, { weekday: 'long' }).format(then);
  const sameYear = new Date(then).getFullYear() === new Date(now).getFullYear();
  const year = sameYear ? undefined : 'numeric';
  return new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'long', year }).format(then);
}

/** The time of day: `18:02`. */
export function timeOfDay(ms: number): string {
  return new Intl.DateTimeFormat(LOCALE, { hour: '2-digit', minute: '2-digit' }).format(ms);
}

/** A duration for a screen reader: `12 minutes, 4 seconds`. */
export function spoken(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(total / 60);
  const seconds = tn('time.spoken-seconds', total % 60);
  return minutes === 0 ? seconds : `${tn('time.spoken-minutes', minutes)}, ${seconds}`;
}
