import { describe, expect, it } from 'vitest';
import en from '../src/words/en.json';
import { NAMES, speak } from '../src/lib/language.svelte';
import { CATALOGUES, t, tn, type WordKey } from '../src/lib/words';

const sources = import.meta.glob('../src/**/*.{ts,svelte}', { query: '?raw', import: 'default', eager: true }) as Record<string, string>;
/** The shell says its sentences from the same catalogue. */
const shell = import.meta.glob('../../src-tauri/src/**/*.rs', { query: '?raw', import: 'default', eager: true }) as Record<string, string>;
const code = Object.entries(sources)
  .filter(([path]) => !path.includes('/gen/') && !path.includes('/dev/'))
  .map(([, text]) => text)
  .concat(Object.values(shell))
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

  it('fills in names, and leaves a hole visible rather than empty', () => {
    expect(t('call.calling-name', { name: '{name} $& Ben' })).toBe('Calling {name} $& Ben…');
    expect(t('call.calling-name')).toBe('Calling {name}…');
    expect(tn('home.requests', 1)).toBe('1 request');
    expect(tn('home.requests', 3)).toBe('3 requests');
  });
});

/** Never said, in no language: a person can do nothing with them. */
const JARGON = /(?<!\p{L})(ICE|SDP|RTP|failed|error|invalid|Fehler|ungültig|hata|geçersiz)(?!\p{L})/iu;
const values = (text: string) => [...text.matchAll(/\{\w+\}/g)].map(String).sort();

describe.each(Object.entries(CATALOGUES))('in %s', (language, catalogue) => {
  it('there is every sentence, with the same values, and no other', () => {
    expect(Object.keys(catalogue).sort()).toEqual(Object.keys(en).sort());
    for (const [key, text] of Object.entries(en)) expect([key, values(catalogue[key as WordKey])]).toEqual([key, values(text)]);
  });

  it('everything is said in words', () => {
    for (const text of Object.values(catalogue)) expect(text.trim()).toBe(text);
    for (const text of Object.values(catalogue)) expect(text).not.toMatch(JARGON);
  });

  it.skipIf(language === 'en')('no ending hangs on a name, where it would have to fit', () => {
    for (const text of Object.values(catalogue)) expect(text).not.toMatch(/\}['’]?\p{L}/u);
  });

  it('has a name of its own', () => expect(NAMES).toHaveProperty(language));

  it.skipIf(language === 'en')('is said in it', () => {
    // One word may be the same by chance; a sentence is one that nobody has translated.
    const same = Object.entries(catalogue).filter(([key, text]) => text === en[key as WordKey] && /\p{L}{2,}.*\s.*\p{L}{2,}/u.test(text.replace(/\{\w+\}/g, '')));
    expect(same).toEqual([]);
  });
});

it('German is spoken as among friends', () => {
  for (const text of Object.values(CATALOGUES.de)) expect(text).not.toMatch(/(?<!\p{L})(Sie|Ihnen|Ihre?[nmrs]?)(?!\p{L})/u);
});

it('numbers, places and plurals follow the language', () => {
  const said = (language: keyof typeof NAMES) => {
    speak(language);
    return [tn('home.requests', 1), tn('home.requests', 1234), t('quality.percent', { count: 8 })];
  };
  expect(said('de')).toEqual(['1 Anfrage', '1.234 Anfragen', '8 %']);
  expect(said('tr')).toEqual(['1 istek', '1.234 istek', '%8']);
  expect(said('en')).toEqual(['1 request', '1,234 requests', '8 %']);
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

  it('nor does any code', () => {
    // Two words beside each other in quotes are a sentence, but for lists of classes, selectors and what a developer is told.
    const spoken = Object.entries(sources)
      .filter(([path]) => !/\/(gen|dev|words)\//.test(path))
      .flatMap(([path, source]) =>
        source
          .replace(/<style[\s\S]*?<\/style>/g, '')
          .replace(/\/\*[\s\S]*?\*\/|<!--[\s\S]*?-->|^\s*\/\/.*$/gm, '')
          .split('\n')
          .filter((line) => !/^\s*import |class=|class:|style:|querySelector|\.closest\(|throw new Error|console\./.test(line))
          .flatMap((line) => [...line.matchAll(/(['"`])((?:(?!\1).)*)\1/g)].map((match) => (match[2] ?? '').replace(/\$?\{[^}]*\}/g, '')))
          .filter((text) => /\p{L}{2,}[,.]? \p{L}{2,}/u.test(text))
          .map((text) => `${path}: ${text}`),
      );
    expect(spoken).toEqual([]);
  });

});

describe('keys', () => {
  it('are typed', () => {
    // @ts-expect-error a key that is not in the catalogue does not compile
    const wrong: WordKey = 'call.no-such-key';
    expect(wrong in en).toBe(false);
  });
});
