import type { HotkeyProblem } from './types';
import { t, type WordKey } from './words';

const MODIFIERS = ['Control', 'Alt', 'Shift', 'Super'] as const;
const modifierWords: Record<string, WordKey> = {
  Control: 'keys.control',
  Alt: 'keys.alt',
  Shift: 'keys.shift',
  Super: 'keys.super',
};
const signs: Record<string, string> = { ArrowUp: '↑', ArrowDown: '↓', ArrowLeft: '←', ArrowRight: '→' };

/** What was pressed, as the shell reads it: `Control+Alt+KeyM`; `null` while only modifiers are held. */
export function combination(event: KeyboardEvent): string | null {
  if (['Control', 'Alt', 'Shift', 'Meta', 'AltGraph', 'Dead'].includes(event.key) || event.code === '') return null;
  const held = [event.ctrlKey, event.altKey, event.shiftKey, event.metaKey];
  return [...MODIFIERS.filter((_, i) => held[i]), event.code].join('+');
}

/** The same for a person: `Ctrl + Alt + M`. What is not of that form is the desktop's own words. */
export function keysLabel(keys: string): string {
  return keys.split('+').map(part).join(' + ');
}

function part(name: string): string {
  const modifier = modifierWords[name];
  if (modifier !== undefined) return t(modifier);
  if (name === 'Space') return t('keys.space');
  return signs[name] ?? name.replace(/^(Key|Digit)(?=.$)/, '');
}

/** What to do about keys that cannot be had. */
export function problemSentence(problem: HotkeyProblem, keys: string): string {
  const sentences: Record<HotkeyProblem, WordKey> = {
    taken: 'hotkeys.taken',
    same: 'hotkeys.same',
    bare: 'hotkeys.bare',
    unknown: 'hotkeys.unknown',
    refused: 'hotkeys.refused',
  };
  return t(sentences[problem], { keys: keysLabel(keys) });
}
