import { describe, expect, it } from 'vitest';
import { call, contact, home, past, point, sentence } from '../src/dev/scenes';
import { announcement } from '../src/lib/announce';
import { path, span, thinned, type Series } from '../src/lib/chart';
import { heldDevice, options } from '../src/lib/devices';
import { meter } from '../src/lib/level';
import { hue, initials, matches } from '../src/lib/person';
import { isMissed, outcome, presenceLine } from '../src/lib/presence';
import { ceiling, joined, milliseconds, percent, rate, seconds } from '../src/lib/quality';
import { ago, clock, day, length, spoken, timeOfDay } from '../src/lib/time';
import { viewOf } from '../src/lib/view';
import { locale, speak } from '../src/lib/language.svelte';
import type { Call, DeviceList, EndReason, Language } from '../src/lib/types';

const MINUTE = 60_000;

describe('time', () => {
  it('of a call is counted like a clock', () => {
    expect([-5, 0, 7_400, 12 * MINUTE + 4_000, 3_729_000].map(clock)).toEqual(['0:00', '0:00', '0:07', '12:04', '1:02:09']);
  });

  it('that something took is said in words', () => {
    expect([400, 48_000, 12 * MINUTE, 65 * MINUTE].map(length)).toEqual(['0 s', '48 s', '12 min', '1 h 5 min']);
    expect(spoken(61_000)).toBe('1 minute, 1 second');
  });

  it('that has gone is short, and a clock set back does not matter', () => {
    const now = 1_800_000_000_000;
    const gone = [-5_000, 5 * MINUTE, 3 * 60 * MINUTE, 2 * 1440 * MINUTE, 30 * 1440 * MINUTE];
    expect(gone.map((ms) => ago(now - ms, now))).toEqual(['1 min ago', '5 min ago', '3 hr ago', '2 days ago', '4 wk ago']);
  });

  it('of past calls is named by day, also over the change of clocks', () => {
    const at = (month: number, date: number, hour: number) => new Date(2026, month, date, hour).getTime();
    expect(day(at(10, 21, 0), at(10, 21, 23))).toBe('Today');
    expect(day(at(10, 20, 23), at(10, 21, 0))).toBe('Yesterday');
    expect(day(at(9, 24, 12), at(9, 26, 12))).toBe('Saturday');
    expect(day(at(2, 28, 12), at(2, 29, 12))).toBe('Yesterday');
    expect(day(at(0, 5, 12), at(10, 21, 12))).toBe('5 January');
    expect(day(new Date(2024, 0, 5).getTime(), at(10, 21, 12))).toBe('5 January 2024');
  });
});

describe('in another language', () => {
  const now = new Date(2026, 10, 21, 18, 2).getTime();
  const said = (language: Language) => {
    speak(language);
    return [
      ago(now - 2 * 1440 * MINUTE, now), day(now - 60 * 1440 * MINUTE, now), day(now - 2 * 1440 * MINUTE, now), timeOfDay(now),
      length(65 * MINUTE), spoken(61_000), rate(2_430), percent(8.44), seconds(840),
    ];
  };

  it('times and figures are said and written as there', () => {
    expect(said('de')).toEqual([
      'vor 2 Tagen', '22. September', 'Donnerstag', '18:02', '1 Std. 5 Min.', '1 Minute, 1 Sekunde', '2,4 Mbit/s', '8,4 %', '0,8 s',
    ]);
    expect(said('tr')).toEqual([
      '2 gün önce', '22 Eylül', 'Perşembe', '18:02', '1 sa. 5 dk.', '1 dakika 1 saniye', '2,4 Mbit/sn.', '%8,4', '0,8 sn.',
    ]);
  });

  it('capitals are made as there', () => {
    const made = (language: Language) => (speak(language), initials('ilker ışık'));
    expect([made('tr'), made('de')]).toEqual(['İI', 'II']);
  });

  it('the system’s own place decides, where it speaks the language', () => {
    Object.defineProperty(navigator, 'languages', { value: ['fr-CH', 'de-AT', 'en-US'], configurable: true });
    expect((['en', 'de', 'tr'] as const).map((language) => (speak(language), locale()))).toEqual(['en-US', 'de-AT', 'tr-TR']);
    Object.defineProperty(navigator, 'languages', { value: ['en-GB'], configurable: true });
  });
});

describe('a person', () => {
  it('has initials, whatever the name', () => {
    expect(['Ben', 'ada byron', 'Élise de la Tour', '', '  ', '🙂', '🙂 Zoë', '4ever'].map(initials)).toEqual(['B', 'AB', 'ÉT', '?', '?', '?', 'Z', '4']);
  });

  it('has a colour that is always the same', () => {
    expect(hue('ben-7k2q')).toBe(hue('ben-7k2q'));
    expect(new Set(['a', 'b', 'c', 'd'].map(hue)).size).toBe(4);
  });

  it('is found without regard to case and accents', () => {
    expect(matches('Cem Yılmaz', ' CEM')).toBe(true);
    expect(matches('Inês', 'ines')).toBe(true);
    expect(matches('Ben', 'x')).toBe(false);
    // Which I of the Turkish ones somebody means is not asked.
    for (const search of ['IŞIK', 'ışık', 'isik', 'ISIK', 'İşık']) expect(matches('Işık Ünal', search)).toBe(true);
    expect(matches('İlker', 'ilk')).toBe(true);
    expect(matches('Weiß', 'WEISS')).toBe(true);
  });

  it('is said to be reachable or not', () => {
    const now = 1_800_000_000_000;
    expect(presenceLine(contact('a', 'A', { presence: 'online' }), now)).toBe('Online');
    expect(presenceLine(contact('a', 'A', { lastSeenMs: now - 2 * 1440 * MINUTE }), now)).toBe('Last seen 2 days ago');
    expect(presenceLine(contact('a', 'A', { lastSeenMs: now - 5_000 }), now)).toBe('Just left');
    expect(presenceLine(contact('a', 'A', { presence: 'online', blocked: true }), now)).toBe('Blocked');
  });
});

describe('levels', () => {
  it('rise with loudness and stay within the meter', () => {
    expect(meter(0)).toBe(0);
    expect(meter(Number.NaN)).toBe(0);
    expect(meter(-1)).toBe(0);
    expect(meter(1)).toBe(1);
    expect(meter(40)).toBe(1);
    expect(meter(0.1)).toBeGreaterThan(meter(0.05));
  });
});

describe('past calls', () => {
  const reasons: EndReason[] = [
    'hung-up', 'remote-hung-up', 'cancelled', 'missed', 'no-answer', 'declined', 'declined-here', 'busy', 'unreachable',
    'not-signed-in', 'no-connection', 'connection-lost', 'incompatible', 'failed',
  ];

  it('always say what became of them', () => {
    for (const reason of reasons) expect(outcome(past('1', 'a', 'A', 0, { reason, durationMs: 0 }))).not.toBeNull();
    for (const reason of reasons) expect(outcome(past('1', 'a', 'A', 0, { reason, durationMs: 5 }))).toBeNull();
  });

  it('are missed only when they came in', () => {
    expect(isMissed(past('1', 'a', 'A', 0, { direction: 'incoming', reason: 'missed' }))).toBe(true);
    expect(isMissed(past('1', 'a', 'A', 0, { direction: 'outgoing', reason: 'no-answer' }))).toBe(false);
  });
});

describe('choosing a device', () => {
  const list: DeviceList = {
    available: [
      { id: 'a', label: 'A', isDefault: false, synthetic: false },
      { id: 'b', label: 'B', isDefault: true, synthetic: false },
    ],
    chosen: { type: 'device', id: 'a' },
    chosenLabel: 'A',
    inUse: 'a',
    held: null,
    problem: null,
  };

  it('offers the default by name, each device, and none', () => {
    expect(options(list).map((option) => option.label)).toEqual(['System default (B)', 'A', 'B', 'None']);
    expect(options(list).filter((option) => option.chosen).map((option) => option.label)).toEqual(['A']);
  });

  it('keeps showing a chosen device that was unplugged', () => {
    const gone = options({ ...list, chosen: { type: 'device', id: 'usb-7' }, chosenLabel: null });
    expect(gone.find((option) => option.chosen)).toMatchObject({ label: 'usb-7', hint: 'Not plugged in now' });
  });

  it('calls it by its name where that is known, and marks what serves instead', () => {
    const problem = sentence('The headset is not plugged in, so A plays the sound.');
    const gone = options({ ...list, chosen: { type: 'device', id: 'usb-7' }, chosenLabel: 'The headset', problem });
    expect(gone.filter((option) => option.hint !== undefined)).toMatchObject([
      { label: 'A', hint: 'In use now', chosen: false },
      { label: 'The headset', hint: 'Not plugged in now', chosen: true },
    ]);
    expect(options(list).every((option) => option.hint === undefined)).toBe(true);
  });

  it('finds the louder speaker that waits for a word', () => {
    expect(heldDevice({ ...list, held: 'b' })?.label).toBe('B');
    expect(heldDevice(list)).toBeUndefined();
  });
});

describe('what a screen reader says', () => {
  const before = (change: Partial<Call>) => home({ call: call(change) });
  const said = (from: Partial<Call> | null, to: Partial<Call>) => announcement(from === null ? home() : before(from), before(to));
  const active = { type: 'active', sinceMs: 1 } as const;

  it('interrupts for a ring, with the keys that answer it', () => {
    const ring = said(null, { phase: { type: 'incoming' } });
    expect(ring).toEqual({ text: 'Ben Okafor is calling with video. Enter accepts, A accepts without video, Escape declines.', urgent: true });
    expect(said(null, { phase: { type: 'incoming' }, videoWanted: false })?.text).toContain('Enter accepts, Escape declines');
  });

  it('interrupts for mute, a lost connection, its return and the end', () => {
    expect(said({}, { local: { microphone: false, camera: true, paused: false } })).toEqual({ text: 'You are muted', urgent: true });
    const lost = { phase: { type: 'reconnecting', lostMs: 2, sinceMs: 1 } } as const;
    expect(said({ phase: active }, lost)?.urgent).toBe(true);
    expect(said(lost, { phase: active })?.text).toBe('The connection is back');
    const end = { type: 'ended', reason: 'busy', sentence: sentence('Ben is in another call.'), durationMs: 0 } as const;
    expect(said({ phase: { type: 'ringing' } }, { phase: end })?.text).toBe('Ben is in another call.');
  });

  it('says ringing only when it rings, and nothing when only figures change', () => {
    expect(said({ phase: { type: 'calling' } }, { phase: { type: 'ringing' } })?.text).toBe('Ringing at Ben Okafor');
    expect(said({ phase: active }, { phase: active, quality: null })).toBeNull();
    expect(announcement(null, home())).toBeNull();
  });
});

describe('a chart', () => {
  const every: Series = { way: 'in', of: (one) => one.inbound.kbps };
  const at = (seconds: number, kbps: number) => point({ atMs: seconds * 1000, inbound: { ...point().inbound, kbps } });

  it('shows a minute at least, and ten at most', () => {
    expect(span([at(500, 1), at(509, 1)])).toEqual({ from: 449_000, to: 509_000 });
    expect(span([at(0, 1), at(300, 1)])).toEqual({ from: 0, to: 300_000 });
    expect(span([])).toEqual({ from: -60_000, to: 0 });
    const long = joined([], Array.from({ length: 700 }, (_, second) => at(second + 1, 1)));
    expect([long.length, long[0]?.atMs, long.at(-1)?.atMs]).toEqual([600, 101_000, 700_000]);
  });

  it('takes in only what it does not have', () => {
    expect(joined([at(1, 5), at(2, 5)], [at(2, 9), at(3, 9)]).map((one) => one.inbound.kbps)).toEqual([5, 5, 9]);
  });

  it('is a line over an area, with a gap where nothing was measured', () => {
    const spots = [at(0, 0), at(1, 50), at(20, 100), at(21, 0)].map((one) => ({ at: one.atMs, value: every.of(one) }));
    const { line, area } = path(spots, { from: 0, to: 40_000 }, 100, 400, 10);
    expect(line).toBe('M0 10L10 5M200 0L210 10');
    expect(area).toBe('M0 10L10 5L10 10L0 10ZM200 0L210 10L210 10L200 10Z');
  });

  it('has no more spots than can be seen, and ends with the newest second as it is', () => {
    const many = Array.from({ length: 600 }, (_, second) => at(second, second % 2 === 0 ? 100 : 300));
    many[599] = at(599, 900);
    const spots = thinned(many, every);
    expect(spots.length).toBeLessThanOrEqual(152);
    expect(spots[10]?.value).toBe(200);
    expect(spots.at(-1)).toEqual({ at: 599_000, value: 900 });
  });

  it('is drawn to a scale that can be read', () => {
    expect([0, 480, 501, 2_430, 3_001].map((value) => ceiling(value, 500))).toEqual([500, 500, 1000, 3000, 5000]);
    expect([ceiling(0.2, 0.2), ceiling(1, 1), ceiling(29, 30)]).toEqual([0.2, 1, 30]);
  });

  it('says its values in words', () => {
    expect([rate(0), rate(240.4), rate(999.7), rate(2_430)]).toEqual(['0 kbps', '240 kbps', '1 Mbps', '2.4 Mbps']);
    expect([percent(0), percent(8.44), milliseconds(33.6), seconds(840)]).toEqual(['0 %', '8.4 %', '34 ms', '0.8 s']);
  });
});

describe('the view that the other side is told of', () => {
  const stage = { width: 700, height: 700 };
  const seen = { ratio: 1, hidden: false };

  it('is what is drawn, also of a picture that hangs over, in device pixels', () => {
    const picture = { width: 640, height: 360 };
    expect(viewOf(stage, null, 'cover', seen)).toEqual({ width: 704, height: 704 });
    expect(viewOf(stage, picture, 'cover', seen)).toEqual({ width: 1248, height: 704 });
    expect(viewOf(stage, picture, 'contain', seen)).toEqual({ width: 704, height: 400 });
    expect(viewOf(stage, picture, 'contain', { ...seen, ratio: 2 })).toEqual({ width: 1408, height: 800 });
  });

  it('is the same for every size of a picture', () => {
    const sizes = [[1280, 720], [854, 480], [320, 180]].map(([width = 0, height = 0]) => ({ width, height }));
    expect(new Set(sizes.map((size) => JSON.stringify(viewOf(stage, size, 'cover', seen)))).size).toBe(1);
  });

  it('is a stamp while nobody can see it, and never beyond the protocol', () => {
    expect(viewOf(stage, null, 'cover', { ...seen, hidden: true })).toEqual({ width: 16, height: 16 });
    expect(viewOf({ width: 1e9, height: 0 }, null, 'cover', seen)).toEqual({ width: 65_520, height: 0 });
  });
});
