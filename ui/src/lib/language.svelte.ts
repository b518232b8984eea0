import type { Language } from '../gen/Language';

/** Where dates and numbers look as in most places that speak the language, for who lives elsewhere. */
const HOME: Record<Language, string> = { en: 'en-GB', de: 'de-DE', tr: 'tr-TR' };

/** The languages, each in its own words: who does not understand the present one must still find theirs. */
export const NAMES: Record<Language, string> = { en: 'English', de: 'Deutsch', tr: 'Türkçe' };

const isLanguage = (tag: string | undefined): tag is Language => tag !== undefined && Object.hasOwn(HOME, tag);
const languageOf = (locale: string) => locale.toLowerCase().split('-')[0];

/** Until the engine says which, and when it cannot: the system's. */
function systems(): Language {
  return navigator.languages.map(languageOf).find(isLanguage) ?? 'en';
}

let spoken = $state<Language>(systems());

/** What everything is said in. Read where something is drawn, it draws it anew when the language changes. */
export function language(): Language {
  return spoken;
}

/** The language with its place, for dates, numbers and sorting: the system's place where it speaks this language. */
export function locale(): string {
  return navigator.languages.find((one) => one.includes('-') && languageOf(one) === spoken) ?? HOME[spoken];
}

/** Says everything in this language from now on. */
export function speak(to: Language) {
  spoken = to;
}

/** Keeps `lang` on the document: a screen reader speaks by it, and words are parted by its rules. */
export function followLanguage() {
  $effect(() => {
    document.documentElement.lang = spoken;
  });
}
