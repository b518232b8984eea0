import { describe, expect, it } from 'vitest';
import en from '../src/words/en.json';
import { t, tn, type WordKey } from '../src/lib/words';

const sources = import.meta.glob('../src/**/*.{ts,svelte}', { query: '?raw', import: 'default', eager: true }) as Record<string, string>;
const code = Object.entries(sources)
  .filter(([path]) => !path.includes('/gen/') && !path.includes('/dev/'))
  .map(([, text]) => text)
  .join('\n');

/** Everything in quotes that has the form of a key whose first part is one of the catalogue's. */
const stems = new Set(Object.keys(en).map((key) => key.split('.')[0]));
const quoted = [...code.matchAll(/['"`]([a-z]+\.[a-z0-9-]+(?:\.[a-z]+)?)['"`]/g)].map((match) => match[1] ?? '');
const used = new Set(quoted.filter((text) => stems.has(text.split('.')[0])));

describe('the catalogue', () => {
  it('has every key that is used', () => {
    const missing = [...used].filter((key) => !(key in en) && !(`${key}.other` in en));
    expect(missing).toEqual([]);
    expect(used.size).toBeGreaterThan(100);
  });

  it('has no key that is not used', () => {
    const idle = Object.keys(en).filter((key) => !used.has(key) && !used.has(key.replace(/\.(one|other)$/, '')));
    expect(idle).toEqual([]);
  });

  it('has both forms of each plural', () => {
    for (const key of Object.keys(en).filter((key) => key.endsWith('.one'))) expect(en).toHaveProperty([key.replace(/one$/, 'other')]);
  });

  it('is in order within each part, and says everything in words', () => {
    for (const text of Object.values(en)) expect(text.trim()).toBe(text);
    for (const text of Object.values(en)) expect(text).not.toMatch(/\b(ICE|SDP|RTP|failed|error|invalid)\b/i);
  });

  it('fills in names, and leaves a hole visible rather than empty', () => {
    expect(t('call.calling-name', { name: '{name} $& Ben' })).toBe('Calling {name} $& Ben…');
    expect(t('call.calling-name')).toBe('Calling {name}…');
    expect(tn('home.requests', 1)).toBe('1 request');
    expect(tn('home.requests', 3)).toBe('3 requests');
  });
});

describe('no component speaks for itself', () => {
  const components = Object.entries(sources).filter(([path]) => path.endsWith('.svelte') && !path.includes('/dev/'));
  it.each(components)('%s', (_, source) => {
    const markup = source
      .replace(/<script[\s\S]*?<\/script>/g, '')
      .replace(/<style[\s\S]*?<\/style>/g, '')
      .replace(/<!--[\s\S]*?-->/g, '');
    let depth = 0;
    let text = '';
    // Leave out what stands in braces, then tags: what remains is text for people.
    for (const sign of markup) {
      if (sign === '{') depth += 1;
      else if (sign === '}') depth -= 1;
      else if (depth === 0) text += sign;
    }
    expect(text).not.toMatch(/(aria-label|title|placeholder|alt)="[^"]*[A-Za-z]{2}/);
    expect(text.replace(/<[^>]*>/g, '').match(/[A-Za-z]{2,}/g) ?? []).toEqual([]);
  });
  it('is checked on all of them', () => expect(components.length).toBeGreaterThan(20));
});

describe('keys', () => {
  it('are typed', () => {
    // @ts-expect-error a key that is not in the catalogue does not compile
    const wrong: WordKey = 'call.no-such-key';
    expect(wrong in en).toBe(false);
  });
});
