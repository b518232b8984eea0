import de from '../../../src-tauri/crates/engine/words/de.json';
import en from '../../../src-tauri/crates/engine/words/en.json';
import tr from '../../../src-tauri/crates/engine/words/tr.json';
import type { View } from '../screens/Home.svelte';
import { language } from '../lib/language.svelte';
import { t } from '../lib/words';
import type { Call, Contact, Desktop, Device, DeviceList, Devices, HistoryEntry, Quality, QualityCause, QualityFlow, QualityPoint, Sentence, ShareSources, Snapshot } from '../lib/types';

/** A screen of the gallery, and what the engine would say to bring it about. */
export interface Scene {
  snapshot: Snapshot;
  route?: string;
  view?: View;
  tab?: 'contacts' | 'calls';
  failure?: string;
  sources?: ShareSources;
  /** Whether cameras give pictures. */
  pictures?: boolean;
  level?: number;
  /** The call's figures up to now. */
  past?: QualityPoint[];
  /** How this computer's own ways differ from one where nothing is set. */
  desktop?: Partial<Desktop>;
  /** What is pressed when it opens, by the beginning of its name. */
  press?: string;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

export const sentence = (text: string, key = 'dev'): Sentence => ({ key, params: {}, text });

/** What the engine says, from its own catalogue. */
export const said = (key: keyof typeof en, params: Record<string, string> = {}): Sentence => ({
  key,
  params,
  text: { en, de, tr }[language()][key].replace(/\{(\w+)\}/g, (whole, name: string) => params[name] ?? whole),
});

const device = (id: string, label: string, more: Partial<Device> = {}): Device => ({ id, label, isDefault: false, synthetic: false, ...more });

const list = (available: Device[], more: Partial<DeviceList> = {}): DeviceList => ({
  available,
  chosen: { type: 'system-default' },
  chosenLabel: null,
  inUse: available[0]?.id ?? null,
  held: null,
  problem: null,
  ...more,
});

export const devices = (more: Partial<Devices> = {}): Devices => ({
  camera: list([device('cam', 'Integrated Camera', { isDefault: true }), device('usb', 'Logitech BRIO'), device('pattern', 'Test pattern', { synthetic: true })]),
  microphone: list([device('mic', 'Internal Microphone', { isDefault: true }), device('head', 'Jabra Evolve2 65')]),
  speaker: list([device('spk', 'Built-in Speakers', { isDefault: true }), device('head', 'Jabra Evolve2 65')]),
  ...more,
});

export const contact = (id: string, name: string, more: Partial<Contact> = {}): Contact => ({
  id,
  name,
  presence: 'offline',
  lastSeenMs: Date.now() - 2 * DAY,
  connectEarly: true,
  blocked: false,
  ...more,
});

export const past = (callId: string, peer: string, name: string, ago: number, more: Partial<HistoryEntry> = {}): HistoryEntry => ({
  callId,
  peer,
  name,
  direction: 'outgoing',
  reason: 'hung-up',
  atMs: Date.now() - ago,
  durationMs: 12 * MINUTE,
  ...more,
});

const people = [
  contact('ben-7k2q', 'Ben Okafor', { presence: 'online', lastSeenMs: Date.now() }),
  contact('cem-9x1d', 'Cem Yılmaz'),
  contact('didem-3r8v', 'Didem Aksoy', { presence: 'online', lastSeenMs: Date.now() }),
  contact('elif-5m4t', 'Elif Şahin', { lastSeenMs: Date.now() - 3 * HOUR }),
  contact('frida-2w6p', 'Frida Lindqvist', { lastSeenMs: Date.now() - 20 * MINUTE }),
  contact('george-8h5n', 'George', { lastSeenMs: null }),
];

const calls = [
  past('1', 'ben-7k2q', 'Ben Okafor', 3 * HOUR),
  past('2', 'didem-3r8v', 'Didem Aksoy', 5 * HOUR, { direction: 'incoming', reason: 'missed', durationMs: 0 }),
  past('3', 'ben-7k2q', 'Ben Okafor', DAY + 2 * HOUR, { direction: 'incoming', reason: 'remote-hung-up', durationMs: 48 * MINUTE }),
  past('4', 'cem-9x1d', 'Cem Yılmaz', DAY + 4 * HOUR, { reason: 'unreachable', durationMs: 0 }),
  past('5', 'ben-7k2q', 'Ben Okafor', 3 * DAY, { direction: 'incoming', reason: 'missed', durationMs: 0 }),
  past('6', 'elif-5m4t', 'Elif Şahin', 9 * DAY, { durationMs: 75 * MINUTE }),
];

/** Something square that looks like a QR code; the real one is drawn by the engine. */
function code(): string {
  let cells = '';
  const eye = (x: number, y: number) => `M${x} ${y}h7v7h-7zM${x + 1} ${y + 1}v5h5v-5zM${x + 2} ${y + 2}h3v3h-3z`;
  for (let i = 0; i < 841; i += 1) {
    const x = i % 29;
    const y = Math.floor(i / 29);
    const eyes = (x < 8 && y < 8) || (x > 20 && y < 8) || (x < 8 && y > 20);
    if (!eyes && (i * 7919 + x * y * 31) % 5 < 2) cells += `M${x} ${y}h1v1h-1z`;
  }
  const path = eye(0, 0) + eye(22, 0) + eye(0, 22) + cells;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 29 29"><path fill="currentColor" fill-rule="evenodd" d="${path}"/></svg>`;
}

export const home = (more: Partial<Snapshot> = {}): Snapshot => ({
  me: {
    id: 'ada-4c9f',
    name: 'Ada Byron',
    cardLink: 'ahoy://card/7K2Q-9X1D-3R8V-5M4T-2W6P-8H5N?name=Ada&at=wss%3A%2F%2Frendezvous.example',
    cardQrSvg: code(),
    cardReach: 'anywhere',
  },
  rendezvous: { type: 'online' },
  contacts: people,
  requests: [],
  call: null,
  history: calls,
  unseenMissed: 0,
  devices: devices(),
  preview: false,
  scanning: false,
  trial: { step: { type: 'off' }, found: null },
  voice: { echoCancellation: true, noiseSuppression: true, autoGainControl: true, music: false },
  theme: 'system',
  language: language(),
  chosenLanguage: null,
  notices: [],
  refused: {},
  ...more,
});

const flow = (more: Partial<QualityFlow> = {}): QualityFlow => ({ kbps: 2430, lossPercent: 0.1, frames: 30, width: 1280, height: 720, ...more });

export const point = (more: Partial<QualityPoint> = {}): QualityPoint => ({
  atMs: Date.now(),
  bars: 4,
  roundTripMs: 34,
  frozenMs: 0,
  inbound: flow(),
  outbound: flow({ kbps: 2380, lossPercent: 0 }),
  ...more,
});

export const quality = (bars: number, text: string, more: Partial<Quality> = {}): Quality => ({
  bars,
  cause: null,
  sentence: sentence(text),
  advice: null,
  jitterMs: 3,
  now: point({ bars }),
  ...more,
});

/** A call that is not good, with what is to be done. */
const trouble = (cause: QualityCause, bars: number, what: keyof typeof en, todo: keyof typeof en, now: Partial<QualityPoint> = {}): Quality =>
  quality(bars, said(what, { name: 'Ben Okafor' }).text, { cause, advice: said(todo, { name: 'Ben Okafor' }), now: point({ bars, ...now }) });

/** So many seconds of a call; `dip` says how bad each is, 0 to 1. */
export function figures(seconds: number, dip: (ago: number) => number = () => 0): QualityPoint[] {
  const now = Date.now();
  // Always the same: screenshots are compared.
  const noise = (at: number, salt: number) => Math.abs((Math.sin(at * 12.9898 + salt * 78.233) * 43758.5453) % 1);
  return Array.from({ length: seconds }, (_, at) => {
    const ago = seconds - 1 - at;
    const bad = dip(ago);
    const ramp = Math.min(1, 0.4 + at / 12);
    const rate = (salt: number, full: number) => full * ramp * (1 - 0.85 * bad) * (0.93 + 0.14 * noise(at, salt));
    const frames = (salt: number) => Math.round(30 * (1 - 0.5 * bad) - (noise(at, salt) > 0.9 ? 1 : 0));
    const height = bad > 0.7 ? 180 : bad > 0.3 ? 360 : 720;
    const picture = { height, width: (height * 16) / 9 };
    return point({
      atMs: now - ago * 1000,
      bars: bad > 0.7 ? 1 : bad > 0.3 ? 2 : 4,
      roundTripMs: 32 + 8 * noise(at, 3) + 280 * bad,
      frozenMs: bad > 0.8 && at % 7 === 0 ? 420 : 0,
      inbound: flow({ kbps: rate(1, 2450), lossPercent: noise(at, 5) > 0.94 ? 0.8 : 0, frames: frames(6) }),
      outbound: flow({ kbps: rate(2, 2380) * (1 - 0.4 * bad), lossPercent: bad * 7 * noise(at, 7), frames: frames(8), ...picture }),
    });
  });
}

/** Good, then bad for the last minute and a half, and once before for a while. */
const twoDips = (ago: number) => (ago < 90 ? 1 - ago / 180 : ago > 200 && ago < 230 ? 0.6 : 0);

export const call = (more: Partial<Call> = {}): Call => ({
  callId: 'c0ffee',
  peer: 'ben-7k2q',
  name: 'Ben Okafor',
  direction: 'outgoing',
  phase: { type: 'active', sinceMs: Date.now() - 12 * MINUTE - 4000 },
  local: { microphone: true, camera: true, paused: false },
  remote: { microphone: true, camera: true, paused: false },
  videoWanted: true,
  share: { local: { type: 'off', why: null }, remote: { type: 'off' }, asked: { type: 'no' }, wanted: false },
  quality: quality(4, said('quality.good').text),
  stats: null,
  ...more,
});

const inCall = (more: Partial<Call> = {}, rest: Partial<Snapshot> = {}) => home({ call: call(more), ...rest });
const ended = (more: Partial<Extract<Call['phase'], { type: 'ended' }>>): Call =>
  call({ phase: { type: 'ended', reason: 'hung-up', sentence: said('ended.hung-up'), durationMs: 12 * MINUTE, ...more } });

const sources: ShareSources = {
  picker: 'own',
  sound: true,
  problem: null,
  sources: [
    { id: 'screen-1', kind: 'screen', name: 'Screen 1', app: null, icon: null, thumbnail: null, width: 1920, height: 1080 },
    { id: 'window-7', kind: 'window', name: 'Invoice', app: 'Firefox', icon: null, thumbnail: null, width: 1200, height: 800 },
  ],
};

const requests = [
  { id: 'hugo-1a7z-66qe-0t3m', name: 'Hugo', called: true, atMs: Date.now() - 40 * MINUTE },
  { id: 'ines-6b3y-29fd-8k1w', name: 'Inês Duarte', called: false, atMs: Date.now() - 2 * DAY },
];

/** Every screen there is. */
export const scenes: Record<string, () => Scene> = {
  'first-start': () => ({ snapshot: home({ me: { ...home().me, name: null }, contacts: [], history: [], preview: true }), level: 0.12 }),
  'first-start-no-camera': () => ({
    snapshot: home({
      me: { ...home().me, name: null },
      contacts: [],
      history: [],
      devices: devices({ camera: list([], { problem: said('camera.none') }) }),
    }),
    pictures: false,
  }),
  empty: () => ({ snapshot: home({ contacts: [], history: [] }) }),
  contacts: () => ({ snapshot: home({ unseenMissed: 2, requests }) }),
  'contact-offline': () => ({
    snapshot: home({
      rendezvous: { type: 'offline', why: said('rendezvous.unreachable', { server: 'wss://rendezvous.example' }) },
      contacts: people.map((one) => ({ ...one, presence: 'unknown' as const })),
    }),
    view: { type: 'contact', id: 'elif-5m4t' },
  }),
  contact: () => ({ snapshot: home(), view: { type: 'contact', id: 'ben-7k2q' } }),
  add: () => ({ snapshot: home(), view: { type: 'add' } }),
  requests: () => ({ snapshot: home({ requests }), view: { type: 'requests' } }),
  calls: () => ({ snapshot: home(), tab: 'calls' }),
  settings: () => ({ snapshot: home(), view: { type: 'settings' } }),
  'settings-recording': () => ({
    snapshot: home({ trial: { step: { type: 'recording', sinceMs: Date.now() }, found: null } }),
    view: { type: 'settings' },
  }),
  'settings-silent': () => ({
    snapshot: home({ trial: { step: { type: 'off' }, found: { kind: 'microphone', sentence: said('trial.microphone-silent'), tone: 'warning' } } }),
    view: { type: 'settings' },
  }),
  'settings-desktop': () => ({
    snapshot: home(),
    view: { type: 'settings' },
    desktop: {
      autostart: 'on',
      hotkeys: [
        { action: 'microphone', keys: 'Control+Alt+KeyM', problem: null, wanted: null },
        { action: 'hang-up', keys: null, problem: 'taken', wanted: 'Control+Shift+F9' },
        { action: 'push-to-talk', keys: 'Control+Space', problem: null, wanted: null },
        { action: 'stop-share', keys: null, problem: null, wanted: null },
      ],
      update: { type: 'idle', looked: true },
    },
  }),
  crash: () => ({
    snapshot: home(),
    desktop: { crash: { atMs: Date.now() - HOUR, text: 'Ahoy 0.1.0 stopped where it should not have.\nSystem: linux x86_64\nThread: ahoy-net\nPlace: src-tauri/crates/engine/src/desk/mod.rs:120:9\n' } },
    press: 'Show report',
  }),
  update: () => ({ snapshot: home(), desktop: { update: { type: 'available', version: '0.2.0' } } }),
  link: () => ({ snapshot: home(), desktop: { link: 'ahoy://card/didem' } }),
  notices: () => ({
    snapshot: home({
      notices: [
        { id: 1, tone: 'plain', sentence: said('contact.added', { name: 'Frida Lindqvist' }) },
        { id: 2, tone: 'warning', sentence: said('contact.link-damaged') },
      ],
    }),
  }),
  'incoming-overlay': () => ({ snapshot: inCall({ direction: 'incoming', phase: { type: 'incoming' } }) }),
  'incoming-window': () => ({ snapshot: inCall({ direction: 'incoming', phase: { type: 'incoming' } }), route: '#/incoming' }),
  'incoming-sound': () => ({ snapshot: inCall({ direction: 'incoming', phase: { type: 'incoming' }, videoWanted: false }), route: '#/incoming' }),
  calling: () => ({ snapshot: inCall({ phase: { type: 'calling' }, quality: null }) }),
  ringing: () => ({ snapshot: inCall({ phase: { type: 'ringing' }, quality: null, local: { microphone: true, camera: false, paused: false } }) }),
  'in-call': () => ({ snapshot: inCall(), level: 0.08 }),
  'in-call-muted': () => ({ snapshot: inCall({ local: { microphone: false, camera: false, paused: false }, remote: { microphone: false, camera: true, paused: false } }) }),
  'in-call-weak': () => ({
    snapshot: inCall({
      quality: trouble('my-upload', 1, 'quality.my-upload', 'advice.my-upload', {
        roundTripMs: 310,
        outbound: flow({ kbps: 240, lossPercent: 8.4, frames: 15, width: 320, height: 180 }),
      }),
    }),
    past: figures(600, twoDips),
  }),
  'in-call-their-upload': () => ({
    snapshot: inCall({
      remote: { microphone: true, camera: true, paused: true },
      quality: trouble('their-upload', 1, 'quality.their-upload', 'advice.their-upload'),
    }),
  }),
  'in-call-loss': () => ({
    snapshot: inCall({ quality: trouble('loss-in', 2, 'quality.loss-in', 'advice.loss') }),
  }),
  'in-call-slow-computer': () => ({ snapshot: inCall({ quality: trouble('slow-computer', 2, 'quality.slow-computer', 'advice.slow-computer') }) }),
  'in-call-microphone': () => ({
    snapshot: inCall({ quality: trouble('bad-microphone', 3, 'quality.microphone-silent', 'advice.microphone-silent') }),
  }),
  quality: () => ({ snapshot: inCall(), past: figures(312), press: t('quality.bars', { bars: 4 }) }),
  'quality-weak': () => ({ ...scenes['in-call-weak']!(), press: t('quality.bars', { bars: 1 }) }),
  'quality-new': () => ({ snapshot: inCall({ phase: { type: 'active', sinceMs: Date.now() - 9000 } }), past: figures(9), press: t('quality.bars', { bars: 4 }) }),
  'picture-paused': () => ({ snapshot: inCall({ local: { microphone: true, camera: true, paused: true }, remote: { microphone: true, camera: true, paused: true } }) }),
  'camera-off': () => ({ snapshot: inCall({ remote: { microphone: true, camera: false, paused: false } }) }),
  mini: () => ({ snapshot: inCall(), route: '#/mini' }),
  'mini-muted': () => ({ snapshot: inCall({ local: { microphone: false, camera: true, paused: false }, remote: { microphone: true, camera: false, paused: false } }), route: '#/mini' }),
  'share-choose': () => ({ snapshot: inCall(), sources, press: t('share.share') }),
  'share-showing': () => ({ snapshot: inCall({ share: { ...call().share, local: { type: 'showing', what: { kind: 'screen', name: 'Screen 1', app: null }, sound: false, soundProblem: null, paused: false, sinceMs: Date.now() } } }) }),
  'share-wanted': () => ({ snapshot: inCall({ share: { ...call().share, wanted: true } }) }),
  'share-asked': () => ({ snapshot: inCall({ share: { ...call().share, asked: { type: 'waiting' } } }) }),
  'share-interrupted': () => ({ snapshot: inCall({ share: { ...call().share, local: { type: 'interrupted', what: { kind: 'screen', name: 'Screen 1', app: null }, sound: false } } }) }),
  'share-stopped': () => ({ snapshot: inCall({ share: { ...call().share, local: { type: 'off', why: said('share.window-closed', { what: 'Invoice' }) } } }) }),
  'share-seen': () => ({ snapshot: inCall({ share: { ...call().share, remote: { type: 'showing', kind: 'screen', sound: false, paused: false } } }) }),
  reconnecting: () => ({
    snapshot: inCall({
      phase: { type: 'reconnecting', lostMs: Date.now() - 4200, sinceMs: Date.now() - 5 * MINUTE },
      quality: trouble('silence', 0, 'quality.nothing', 'advice.nothing', { roundTripMs: null, inbound: flow({ kbps: 0, frames: 0 }) }),
    }),
  }),
  'camera-problem': () => ({
    snapshot: inCall(
      { local: { microphone: true, camera: false, paused: false } },
      {
        devices: devices({
          camera: list([device('cam', 'Integrated Camera', { isDefault: true })], {
            inUse: null,
            problem: said('camera.busy'),
          }),
        }),
      },
    ),
  }),
  'speaker-held': () => {
    const held = said('speaker.held', { lost: 'Jabra Evolve2 65', offered: 'Built-in Speakers' });
    const lost = { chosen: { type: 'device', id: 'head' }, chosenLabel: 'Jabra Evolve2 65' } as const;
    const instead = said('microphone.fallback', { lost: 'Jabra Evolve2 65', used: 'Internal Microphone' });
    return {
      snapshot: inCall(
        {},
        {
          devices: devices({
            speaker: list([device('spk', 'Built-in Speakers', { isDefault: true })], { ...lost, inUse: null, held: 'spk', problem: held }),
            microphone: list([device('mic', 'Internal Microphone', { isDefault: true })], { ...lost, problem: instead }),
          }),
          notices: [
            { id: 1, tone: 'warning', sentence: instead },
            { id: 2, tone: 'warning', sentence: held },
          ],
        },
      ),
    };
  },
  'in-call-telephone': () => ({
    snapshot: inCall({ quality: trouble('telephone', 3, 'quality.telephone', 'advice.telephone') }),
  }),
  ended: () => ({ snapshot: home({ call: ended({}) }) }),
  unreachable: () => ({
    snapshot: home({
      call: ended({ reason: 'unreachable', durationMs: 0, sentence: said('ended.unreachable', { name: 'Ben Okafor' }) }),
    }),
  }),
  failure: () => ({
    snapshot: home(),
    failure: said('start.in-use', { folder: '/home/ada/.local/share/ahoy' }).text,
  }),
};
