import type { Call, QualityPoint } from './types';
import { number, t } from './words';

/** As many seconds as the engine keeps: ten minutes. */
export const KEPT = 600;

/** What is said over the picture of a bad call. */
export interface Advice {
  /** What is wrong; `null` where that is said elsewhere. */
  what: string | null;
  /** What to do. */
  todo: string;
}

/** What to do about a bad call; `null` when nothing is to be done, or it is said elsewhere. */
export function advised(call: Call): Advice | null {
  const quality = call.quality;
  if (call.phase.type !== 'active' || quality === null || quality.advice === null) return null;
  // The line about the paused picture has its own advice.
  if (quality.cause === 'my-upload' && call.local.camera && call.local.paused) return null;
  // What is wrong stands where the picture would be.
  const elsewhere = quality.cause === 'their-upload' && call.remote.camera && call.remote.paused;
  return { what: elsewhere ? null : quality.sentence.text, todo: quality.advice.text };
}

/** The newest seconds after those already there. */
export function joined(points: QualityPoint[], newer: QualityPoint[]): QualityPoint[] {
  const last = points.at(-1)?.atMs ?? 0;
  return [...points, ...newer.filter((point) => point.atMs > last)].slice(-KEPT);
}

/** `240 kbps`, `2.4 Mbps`. */
export function rate(kbps: number): string {
  return kbps >= 999.5 ? t('quality.mbps', { count: number(kbps / 1000, 1) }) : t('quality.kbps', { count: number(kbps) });
}

/** `0 %`, `8.4 %`. */
export function percent(value: number): string {
  return t('quality.percent', { count: number(value, 1) });
}

/** `34 ms`. */
export function milliseconds(value: number): string {
  return t('quality.ms', { count: number(value) });
}

/** `30`. */
export function count(value: number): string {
  return number(value);
}

/** `0.8 s`. */
export function seconds(ms: number): string {
  return t('time.seconds', { count: number(ms / 1000, 1) });
}

/** The least of 1, 2, 3, 5 times a power of ten that is no smaller: a scale that can be read. */
export function ceiling(value: number, least: number): number {
  const wanted = Math.max(value, least);
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = [1, 2, 3, 5, 10].find((step) => step * power >= wanted * (1 - 1e-9)) ?? 10;
  return step * power;
}
