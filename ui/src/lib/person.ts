import { locale } from './language.svelte';
import type { Contact } from './types';

/** The hue (0-359) of a person's avatar, from their Ahoy ID: the same on every computer. FNV-1a. */
export function hue(id: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < id.length; i += 1) {
    hash ^= id.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  return (hash >>> 0) % 360;
}

/** One or two initials; `?` when the name has no letter or digit. */
export function initials(name: string): string {
  const words = name
    .trim()
    .split(/[\s\-_.]+/u)
    .filter((word) => /[\p{L}\p{N}]/u.test(word));
  const letter = (word: string | undefined) => word?.match(/[\p{L}\p{N}]/u)?.[0]?.toLocaleUpperCase(locale()) ?? '';
  if (words.length === 0) return '?';
  return letter(words[0]) + (words.length > 1 ? letter(words.at(-1)) : '');
}

/** Whether a name fits a search, without regard to case and accents: `ISIK` and `weiss` find `Işık` and `Weiß`. */
export function matches(name: string, search: string): boolean {
  // Not by the language's own rules: who searches for I may mean either of the two that Turkish has.
  const plain = (text: string) => text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase().replace(/ı/g, 'i').replace(/ß/g, 'ss');
  return plain(name).includes(plain(search.trim()));
}

/** People in the order of the language's alphabet. */
export function byName(contacts: Contact[]): Contact[] {
  const { compare } = new Intl.Collator(locale());
  return [...contacts].sort((a, b) => compare(a.name, b.name));
}
