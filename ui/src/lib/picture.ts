/** Bytes before the planes. */
export const PICTURE_HEADER_BYTES = 32;
/** `AHOY` read as a little-endian number. */
export const PICTURE_MAGIC = 0x594f4841;
/** Wider or higher than this is damage, not a picture. */
export const PICTURE_MAX_SIDE = 8192;

/** An I420 picture (BT.601, limited range); the planes are views into the message, without a copy. */
export interface Picture {
  /** Pixels. */
  width: number;
  /** Pixels. */
  height: number;
  /** Running number given by the sender. */
  number: number;
  y: Uint8Array;
  /** `ceil(width / 2) * ceil(height / 2)` bytes, as is `v`. */
  u: Uint8Array;
  v: Uint8Array;
}

/**
 * Reads a picture message: `magic u32, width u32, height u32, frame number u32, flags u32`, 12 reserved bytes, all
 * little-endian, then the tightly packed planes Y, U, V. Damaged messages give `null`.
 */
export function decodePicture(message: ArrayBuffer): Picture | null {
  if (message.byteLength < PICTURE_HEADER_BYTES) return null;
  const header = new DataView(message, 0, PICTURE_HEADER_BYTES);
  if (header.getUint32(0, true) !== PICTURE_MAGIC) return null;
  const width = header.getUint32(4, true);
  const height = header.getUint32(8, true);
  if (width === 0 || height === 0 || width > PICTURE_MAX_SIDE || height > PICTURE_MAX_SIDE) return null;
  const luma = width * height;
  const chroma = ((width + 1) >> 1) * ((height + 1) >> 1);
  if (message.byteLength !== PICTURE_HEADER_BYTES + luma + 2 * chroma) return null;
  return {
    width,
    height,
    number: header.getUint32(12, true),
    y: new Uint8Array(message, PICTURE_HEADER_BYTES, luma),
    u: new Uint8Array(message, PICTURE_HEADER_BYTES + luma, chroma),
    v: new Uint8Array(message, PICTURE_HEADER_BYTES + luma + chroma, chroma),
  };
}
