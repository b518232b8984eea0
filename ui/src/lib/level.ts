/** Quieter than this is shown as nothing, dBFS. */
const FLOOR_DB = -56;

/** A linear RMS level (0 to 1) as a share of the meter, by loudness. */
export function meter(rms: number): number {
  if (!(rms > 0)) return 0;
  return Math.min(1, Math.max(0, 1 - (20 * Math.log10(rms)) / FLOOR_DB));
}

/** Someone speaks into the microphone, rather than breathing beside it: about -32 dBFS. */
export const SPEAKING = 0.025;
