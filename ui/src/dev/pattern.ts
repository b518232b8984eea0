import type { PictureSource } from '../lib/bridge';
import { PICTURE_HEADER_BYTES, PICTURE_MAGIC } from '../lib/picture';

type Colour = [number, number, number];

/** Colours of an imagined room with someone in it, one for each side. */
const ROOMS: Record<'remote' | 'local', { wall: Colour; floor: Colour; lamp: Colour; skin: Colour; shirt: Colour; hair: Colour }> = {
  remote: { wall: [126, 152, 158], floor: [92, 74, 62], lamp: [250, 214, 150], skin: [222, 176, 146], shirt: [52, 82, 116], hair: [58, 40, 32] },
  local: { wall: [168, 146, 128], floor: [70, 78, 90], lamp: [240, 232, 214], skin: [196, 148, 118], shirt: [132, 58, 66], hair: [34, 28, 30] },
};

function colourAt(which: PictureSource, x: number, y: number, time: number): Colour {
  const room = ROOMS[which.startsWith('remote') ? 'remote' : 'local'];
  const sway = 0.012 * Math.sin(time / 9);
  const dx = x - 0.5 - sway;
  const inside = (cx: number, cy: number, rx: number, ry: number) => ((dx - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1;
  if (inside(0, 0.37, 0.125, 0.17) && y < 0.33 - 0.05 * Math.cos(dx * 14)) return room.hair;
  if (inside(0, 0.44, 0.105, 0.175)) return room.skin;
  if (inside(0, 0.38, 0.13, 0.18)) return room.hair;
  if (inside(0, 0.62, 0.055, 0.1)) return room.skin;
  if (inside(0, 1.02, 0.3, 0.38)) return room.shirt;
  const glow = Math.exp(-(((x - 0.84) / 0.2) ** 2 + ((y - 0.22) / 0.28) ** 2));
  const base = y > 0.82 ? room.floor : room.wall;
  const shade = 0.72 + 0.28 * x;
  return base.map((part, i) => part * shade + glow * ((room.lamp[i] ?? 0) - part * shade)) as Colour;
}

/** A picture message as the shell sends it: something like a person in a room, swaying. */
export function paint(which: PictureSource, number: number): ArrayBuffer {
  const width = 640;
  const height = which === 'remote' ? 360 : 480;
  const luma = width * height;
  const chroma = luma / 4;
  const message = new ArrayBuffer(PICTURE_HEADER_BYTES + luma + 2 * chroma);
  const header = new DataView(message);
  for (const [at, value] of [PICTURE_MAGIC, width, height, number].entries()) header.setUint32(at * 4, value, true);
  const planes = new Uint8Array(message, PICTURE_HEADER_BYTES);
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const [r, g, b] = colourAt(which, column / width, row / height, number);
      planes[row * width + column] = 16 + (65.738 * r + 129.057 * g + 25.064 * b) / 256;
      if (row % 2 === 0 && column % 2 === 0) {
        const at = (row / 2) * (width / 2) + column / 2;
        planes[luma + at] = 128 + (-37.945 * r - 74.494 * g + 112.439 * b) / 256;
        planes[luma + chroma + at] = 128 + (112.439 * r - 94.154 * g - 18.285 * b) / 256;
      }
    }
  }
  return message;
}
