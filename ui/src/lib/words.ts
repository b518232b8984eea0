import en from '../words/en.json';

/** Every sentence of the interface has a key here. Sentences of the engine come ready in its snapshots. */
export type WordKey = keyof typeof en;
type Params = Record<string, string | number>;

/** The language of the catalogue, for dates and numbers too. */
export const LOCALE = 'en-GB';

/** The sentence for a key, its `{placeholders}` filled in. */
export function t(key: WordKey, params: Params = {}): string {
  return en[key].replace(/\{(\w+)\}/g, (whole, name: string) => String(params[name] ?? whole));
}

type PluralStem = WordKey extends infer K ? (K extends `${infer S}.other` ? S : never) : never;
const plurals = new Intl.PluralRules(LOCALE);

/** The sentence for a number: `stem.one` or `stem.other`, with `{count}`. */
export function tn(stem: PluralStem, count: number, params: Params = {}): string {
  const rule = plurals.select(count) === 'one' ? 'one' : 'other';
  return t(`${stem}.${rule}` as WordKey, { count, ...params });
}
