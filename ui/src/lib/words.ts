import de from '../words/de.json';
import en from '../words/en.json';
import tr from '../words/tr.json';
import type { Language } from '../gen/Language';
import { language, locale } from './language.svelte';

/** Every sentence of the interface has a key here. Sentences of the engine come ready in its snapshots. */
export type WordKey = keyof typeof en;
type Params = Record<string, string | number>;

/** A key that one of them lacks does not compile. */
export const CATALOGUES: Record<Language, Record<WordKey, string>> = { en, de, tr };

/** The sentence for a key, its `{placeholders}` filled in. */
export function t(key: WordKey, params: Params = {}): string {
  return CATALOGUES[language()][key].replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = params[name];
    return typeof value === 'number' ? number(value) : (value ?? whole);
  });
}

type PluralStem = WordKey extends infer K ? (K extends `${infer S}.other` ? S : never) : never;

/** The sentence for a number: `stem.one` or `stem.other`, with `{count}`. Our languages have no other forms. */
export function tn(stem: PluralStem, count: number, params: Params = {}): string {
  const rule = new Intl.PluralRules(locale()).select(count) === 'one' ? 'one' : 'other';
  return t(`${stem}.${rule}` as WordKey, { count, ...params });
}

/** A number as it is written here: `1,234.5`, `1.234,5`. */
export function number(value: number, digits = 0): string {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(value);
}
