import type { QualityPoint } from './types';

/** Seconds without a point after which a line is interrupted, in ms. */
const GAP_MS = 3_500;
/** A chart is never of less time than this: the first seconds must not look like mountains. */
const LEAST_MS = 60_000;

/** The time that a chart shows, Unix ms. */
export interface Span {
  from: number;
  to: number;
}

export function span(points: QualityPoint[]): Span {
  const to = points.at(-1)?.atMs ?? 0;
  return { from: Math.min(points[0]?.atMs ?? to, to - LEAST_MS), to };
}

/** Where a time stands, 0 to 1. */
export function across(at: number, { from, to }: Span): number {
  return to > from ? (at - from) / (to - from) : 1;
}

/** One line of a chart. */
export interface Series {
  /** Which way, and so how it is drawn. */
  way: 'in' | 'out';
  /** The value of a second; `null`: not known. */
  of: (point: QualityPoint) => number | null;
}

/** A place of a line: when, in Unix ms, and how high. */
export interface Spot {
  at: number;
  value: number | null;
}

/** More spots than this are a scribble in a chart of some hundred pixels. */
const SPOTS = 150;

/** A line's values, several seconds in one where there are many: their mean. The newest stands for itself. */
export function thinned(points: QualityPoint[], { of }: Series): Spot[] {
  const each = Math.ceil(points.length / SPOTS);
  const spots: Spot[] = [];
  // From the newest on, so that the line ends with what the words say; in whole groups of the clock, so that it does
  // not change its shape with every second.
  let group: number[] = [];
  let began = -1;
  const end = (at: number) => {
    if (group.length > 0) spots.push({ at, value: group.reduce((sum, value) => sum + value, 0) / group.length });
    group = [];
  };
  for (const [index, point] of points.entries()) {
    const place = Math.floor(point.atMs / (each * 1000));
    if (place !== began) end(points[index - 1]?.atMs ?? point.atMs);
    began = place;
    const value = of(point);
    if (value === null) {
      end(points[index - 1]?.atMs ?? point.atMs);
      spots.push({ at: point.atMs, value: null });
    } else if (index === points.length - 1) {
      end(points[index - 1]?.atMs ?? point.atMs);
      spots.push({ at: point.atMs, value });
    } else group.push(value);
  }
  return spots;
}

/** A line as an SVG path in a field of `width` x `height`, from `0` at its bottom to `top`; and the area below it. */
export function path(spots: Spot[], time: Span, top: number, width: number, height: number) {
  let line = '';
  let area = '';
  let start: number | null = null;
  let x = 0;
  let before = -Infinity;
  const end = () => {
    if (start !== null) area += `L${x} ${height}L${start} ${height}Z`;
    start = null;
  };
  const gap = GAP_MS + (time.to - time.from) / SPOTS;
  for (const { at, value } of spots) {
    if (value === null || at - before > gap) end();
    before = at;
    if (value === null) continue;
    x = Math.round(across(at, time) * width * 10) / 10;
    const y = Math.round((1 - Math.min(1, Math.max(0, value / top))) * height * 10) / 10;
    const step = `${start === null ? 'M' : 'L'}${x} ${y}`;
    start ??= x;
    line += step;
    area += step;
  }
  end();
  return { line, area };
}

/** The least and the greatest value, of the seconds that have one. */
export function range(points: QualityPoint[], { of }: Series): { low: number; high: number } | null {
  const values = points.map(of).filter((value) => value !== null);
  return values.length === 0 ? null : { low: Math.min(...values), high: Math.max(...values) };
}
