import { locale } from './language.svelte';
import { t } from './words';

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

/** How long ago, short, from a minute on: `5 min ago`, `3 hr ago`, `2 days ago`, `4 wk ago`. */
export function ago(then: number, now: number): string {
  const gone = Math.max(MINUTE, now - then);
  const format = new Intl.RelativeTimeFormat(locale(), { style: 'short' });
  if (gone < HOUR) return format.format(-Math.floor(gone / MINUTE), 'minute');
  if (gone < DAY) return format.format(-Math.floor(gone / HOUR), 'hour');
  if (gone < 14 * DAY) return format.format(-Math.floor(gone / DAY), 'day');
  return format.format(-Math.floor(gone / (7 * DAY)), 'week');
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
  if (days < 7) return new Intl.DateTimeFormat(locale(), { weekday: 'long' }).format(then);
  const sameYear = new Date(then).getFullYear() === new Date(now).getFullYear();
  const year = sameYear ? undefined : 'numeric';
  return new Intl.DateTimeFormat(locale(), { day: 'numeric', month: 'long', year }).format(then);
}

/** The time of day: `18:02`. */
export function timeOfDay(ms: number): string {
  return new Intl.DateTimeFormat(locale(), { hour: '2-digit', minute: '2-digit' }).format(ms);
}

/** A duration for a screen reader: `12 minutes, 4 seconds`. */
export function spoken(ms: number): string {
  const total = Math.max(0, Math.floor(ms / 1000));
  const unit = (count: number, unit: string) => new Intl.NumberFormat(locale(), { style: 'unit', unit, unitDisplay: 'long' }).format(count);
  const parts = total < 60 ? [] : [unit(Math.floor(total / 60), 'minute')];
  return new Intl.ListFormat(locale(), { type: 'unit' }).format([...parts, unit(total % 60, 'second')]);
}
