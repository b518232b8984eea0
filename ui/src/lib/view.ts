interface Size {
  width: number;
  height: number;
}

/** What the other side is told while nobody can see its picture: it sends the smallest. */
const UNSEEN: Size = { width: 16, height: 16 };
/** In steps of so many pixels, since nobody sees less. */
const STEP = 16;
/** The protocol's limit for a side, in whole steps. */
const MOST = 65_520;

/**
 * How large the other side's picture is drawn, in device pixels: where it fills the window ("cover") that is more than the
 * window, since what hangs over is cut off. Before the first picture its shape is not known, and the window counts.
 */
export function viewOf(
  stage: Size,
  picture: Size | null,
  fit: 'cover' | 'contain',
  { ratio, hidden }: { ratio: number; hidden: boolean },
): Size {
  if (hidden) return UNSEEN;
  let { width, height } = stage;
  if (picture !== null && picture.width > 0 && picture.height > 0) {
    const scales = [stage.width / picture.width, stage.height / picture.height] as const;
    const scale = fit === 'cover' ? Math.max(...scales) : Math.min(...scales);
    [width, height] = [picture.width * scale, picture.height * scale];
  }
  const pixels = (length: number) => Math.min(Math.ceil((length * ratio) / STEP) * STEP, MOST);
  return { width: pixels(width), height: pixels(height) };
}
