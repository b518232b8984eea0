// Runs in tests/browser/call.html after call.start(): notes what the camera gives, what is decoded, and what is heard,
// with times in Unix milliseconds, until call.takeNotes(). args[0] says what else is kept, as it costs something: the sound
// itself for call.takeSound(), a whole picture a second for call.takePicture().
const [keeps] = args;
const COLUMNS = 16;
const ROWS = 6;
const notes = { captured: [], shown: [], sound: [], limited: null };
const unixMs = () => performance.timeOrigin + performance.now();

const base64 = async (parts) => {
  const url = await new Promise((resolve) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.readAsDataURL(new Blob(parts));
  });
  return url.slice(url.indexOf(',') + 1);
};

// CRC-16/CCITT-FALSE over the pattern's first 80 bits.
const checksum = (bits) => {
  let crc = 0xffff;
  for (let byte = 0; byte < 10; byte++) {
    crc ^= parseInt(bits.slice(byte * 8, byte * 8 + 8), 2) << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
};

// The number in the pattern's cells; null where there is none or it is unclear. Only the picture's lower part is copied.
const readNumber = async (frame) => {
  if (!['I420', 'NV12'].includes(frame.format)) return null;
  const { x, y, width, height } = frame.visibleRect;
  const rowTop = (row) => height - Math.floor((Math.floor((height * 3) / 10) * (ROWS - row)) / ROWS);
  const top = rowTop(0) & ~1;
  const rect = { x, y: y + top, width: width & ~1, height: (height - top) & ~1 };
  const luma = new Uint8Array(frame.allocationSize({ rect }));
  const [{ offset, stride }] = await frame.copyTo(luma, { rect });
  let bits = '';
  for (let row = 0; row < ROWS; row++) {
    const middle = ((rowTop(row) + rowTop(row + 1)) >> 1) - top;
    for (let column = 0; column < COLUMNS; column++) {
      const centre = Math.floor(((column + 0.5) * width) / COLUMNS);
      let sum = 0;
      for (const away of [-2, -1, 0, 1, 2]) sum += luma[offset + middle * stride + centre + away];
      bits += sum > 5 * 128 ? '1' : '0';
    }
  }
  if (parseInt(bits.slice(80), 2) !== checksum(bits)) return null;
  let number = parseInt(bits.slice(0, 32), 2);
  for (const shift of [1, 2, 4, 8, 16]) number ^= number >>> shift;
  return number >>> 0;
};

// The luma of a picture each second.
const pictures = [];
let next = 0;
const keep = async (frame, at) => {
  if (at < next || !['I420', 'NV12'].includes(frame.format)) return;
  next = at + 1000;
  const { width, height } = frame.visibleRect;
  const planes = new Uint8Array(frame.allocationSize());
  const [{ offset, stride }] = await frame.copyTo(planes);
  const rows = Array.from({ length: height }, (_, row) => planes.subarray(offset + row * stride).subarray(0, width));
  pictures.push({ at, width, height, luma: new Blob(rows) });
};
call.takePicture = async () => {
  const picture = pictures.shift();
  return picture ? { ...picture, luma: await base64([picture.luma]) } : null;
};

const watch = async (track, note, look) => {
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  for (;;) {
    const { value: frame, done } = await reader.read();
    if (done) return;
    const at = unixMs();
    const height = frame.displayHeight;
    const number = await readNumber(frame).catch(() => null);
    if (look) await look(frame, at).catch(() => null);
    frame.close();
    note(at, number, height);
  }
};

// The sound as it is played: 16-bit samples at 48 kHz of the first channel.
const heard = [];
const listen = async (track) => {
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  for (;;) {
    const { value: sound, done } = await reader.read();
    if (done) return;
    const samples = new Float32Array(sound.numberOfFrames);
    sound.copyTo(samples, { planeIndex: 0, format: 'f32-planar' });
    sound.close();
    heard.push(Int16Array.from(samples, (sample) => Math.max(-1, Math.min(1, sample)) * 32767));
  }
};
call.takeSound = () => base64(heard);

const [camera] = call.stream.getVideoTracks();
if (camera) watch(camera, (at, number) => number !== null && notes.captured.push([at, number]));
call.connection.addEventListener('track', ({ track }) => {
  if (track.kind === 'audio' && keeps.sound) listen(track);
  const note = (at, number, height) => notes.shown.push([at, number, height]);
  if (track.kind === 'video') watch(track, note, keeps.pictures && keep);
});
setInterval(async () => {
  const at = unixMs();
  const { 'inbound-audio': sound, 'inbound-video': picture, 'outbound-video': sent } = await call.stats();
  notes.limited = sent?.qualityLimitationDurations ?? null;
  if (!sound) return;
  const { totalSamplesReceived, concealedSamples, silentConcealedSamples } = sound;
  // Both say what moment of the other side's clock is played now: when the sound's is later, the picture comes after it.
  const sync = sound.estimatedPlayoutTimestamp - picture?.estimatedPlayoutTimestamp;
  const told = Number.isFinite(sync) ? sync : null;
  notes.sound.push([at, totalSamplesReceived, concealedSamples - silentConcealedSamples, told]);
}, 1000);
call.takeNotes = () => notes;
