import { expect, it } from 'vitest';
import windows from '../../src-tauri/capabilities/windows.json';
import bridge from '../src/lib/tauri.ts?raw';

/** A command that is not permitted is refused only in the real window. (A permission without its command does not build.) */
it('every command that the window gives is one that it may give', () => {
  const given = [...bridge.matchAll(/invoke(?:<[^(]*>)?\('(\w+)'/g)].map((match) => match[1] ?? '');
  expect(given.length).toBeGreaterThan(5);
  for (const command of given) expect(windows.permissions).toContain(`allow-${command.replaceAll('_', '-')}`);
});
