import type { PictureSource } from './bridge';
import type { Picture } from './picture';

/** What has been drawn, for tests that drive the real window. */
export interface Shown {
  /** Pictures drawn since the window opened. */
  frames: number;
  width: number;
  height: number;
  /** The sender's running number of the newest. */
  number: number;
}

interface Hook {
  shown: Record<PictureSource, Shown>;
  /** Mean brightness (16-235) of the newest picture in `columns` x `rows` fields, row by row; `null` before the first. */
  brightness(which: PictureSource, columns: number, rows: number): number[] | null;
}

declare global {
  interface Window {
    __ahoy?: Hook;
  }
}

const none = (): Shown => ({ frames: 0, width: 0, height: 0, number: 0 });
const newest: Record<PictureSource, Picture | null> = { remote: null, local: null, 'remote-screen': null, 'local-screen': null };
const shown: Record<PictureSource, Shown> = { remote: none(), local: none(), 'remote-screen': none(), 'local-screen': none() };

function brightness(which: PictureSource, columns: number, rows: number): number[] | null {
  const picture = newest[which];
  if (picture === null) return null;
  const sums = new Array<number>(columns * rows).fill(0);
  const counts = new Array<number>(columns * rows).fill(0);
  for (let y = 0; y < picture.height; y += 1) {
    const row = Math.floor((y * rows) / picture.height) * columns;
    for (let x = 0; x < picture.width; x += 1) {
      const field = row + Math.floor((x * columns) / picture.width);
      sums[field] = (sums[field] ?? 0) + (picture.y[y * picture.width + x] ?? 0);
      counts[field] = (counts[field] ?? 0) + 1;
    }
  }
  return sums.map((sum, field) => sum / Math.max(1, counts[field] ?? 1));
}

/** Notes that a picture was drawn. */
export function noteShown(which: PictureSource, picture: Picture) {
  newest[which] = picture;
  const count = shown[which];
  count.frames += 1;
  count.width = picture.width;
  count.height = picture.height;
  count.number = picture.number;
}

/** Forgets the newest picture, so that its memory goes with its canvas. */
export function forgetShown(which: PictureSource) {
  newest[which] = null;
}

window.__ahoy = { shown, brightness };
