import { describe, expect, it } from 'vitest';
import { decodePicture, PICTURE_HEADER_BYTES, PICTURE_MAGIC } from '../src/lib/picture';
import { drawingSize, toRgba } from '../src/lib/renderer';

function message(width: number, height: number, extra = 0, magic = PICTURE_MAGIC): ArrayBuffer {
  const chroma = Math.ceil(width / 2) * Math.ceil(height / 2);
  const buffer = new ArrayBuffer(PICTURE_HEADER_BYTES + width * height + 2 * chroma + extra);
  const header = new DataView(buffer);
  [magic, width, height, 77, 0].forEach((value, at) => header.setUint32(at * 4, value, true));
  return buffer;
}

describe('a picture message', () => {
  it('gives size, number and planes without copying', () => {
    const buffer = message(640, 360);
    const picture = decodePicture(buffer);
    expect(picture).toMatchObject({ width: 640, height: 360, number: 77 });
    expect([picture?.y.length, picture?.u.length, picture?.v.length]).toEqual([640 * 360, 320 * 180, 320 * 180]);
    expect(picture?.v.buffer).toBe(buffer);
    expect(picture?.v.byteOffset).toBe(buffer.byteLength - 320 * 180);
  });

  it('starts with the letters AHOY', () => {
    expect([...new Uint8Array(message(2, 2), 0, 4)].map((byte) => String.fromCharCode(byte)).join('')).toBe('AHOY');
  });

  it('rounds chroma up for odd sizes', () => {
    const picture = decodePicture(message(7, 5));
    expect([picture?.y.length, picture?.u.length, picture?.v.length]).toEqual([35, 12, 12]);
  });

  it.each([
    ['empty', new ArrayBuffer(0)],
    ['shorter than a header', new ArrayBuffer(31)],
    ['only a header', message(640, 360).slice(0, 32)],
    ['cut short by a byte', message(640, 360).slice(0, -1)],
    ['a byte too long', message(640, 360, 1)],
    ['without the magic', message(640, 360, 0, 0x12345678)],
    ['of no width', message(0, 360)],
    ['of no height', message(640, 0)],
    ['of absurd size', message(8194, 2)],
  ])('that is %s is refused', (_, buffer) => {
    expect(decodePicture(buffer)).toBeNull();
  });

  it('whose size would overflow is refused', () => {
    const buffer = message(2, 2);
    new DataView(buffer).setUint32(4, 0xffffffff, true);
    expect(decodePicture(buffer)).toBeNull();
  });
});

describe('drawing', () => {
  it('turns limited-range BT.601 into full-range colours', () => {
    const rgb = (y: number, u: number, v: number) => {
      const out = new Uint8ClampedArray(4);
      toRgba({ width: 1, height: 1, number: 0, y: new Uint8Array([y]), u: new Uint8Array([u]), v: new Uint8Array([v]) }, out);
      return [...out];
    };
    expect(rgb(16, 128, 128)).toEqual([0, 0, 0, 255]);
    expect(rgb(235, 128, 128)).toEqual([255, 255, 255, 255]);
    const [red, green, blue] = rgb(81, 90, 240);
    expect(red).toBeGreaterThan(252);
    expect(green).toBeLessThan(3);
    expect(blue).toBeLessThan(3);
  });

  it('never draws more pixels than the picture has', () => {
    expect(drawingSize({ width: 640, height: 360 }, { width: 2560, height: 1440 }, 'cover')).toEqual({ width: 640, height: 360 });
  });

  it('draws a small view small, keeping the shape', () => {
    expect(drawingSize({ width: 1280, height: 720 }, { width: 160, height: 120 }, 'contain')).toEqual({ width: 160, height: 90 });
    expect(drawingSize({ width: 1280, height: 720 }, { width: 160, height: 120 }, 'cover')).toEqual({ width: 213, height: 120 });
    expect(drawingSize({ width: 1280, height: 720 }, { width: 0, height: 0 }, 'cover')).toEqual({ width: 1, height: 1 });
  });
});
