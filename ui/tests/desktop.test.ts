import { screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import { call, home, scenes } from '../src/dev/scenes';
import { combination, keysLabel, problemSentence } from '../src/lib/hotkeys';
import { open, press, settled } from './helpers';

const key = (code: string, key: string, held: Partial<KeyboardEventInit> = {}) => new KeyboardEvent('keydown', { code, key, ...held });

describe('keys', () => {
  it('are written as the shell reads them, and not before a real key is pressed', () => {
    expect(combination(key('KeyM', 'm', { ctrlKey: true, altKey: true }))).toBe('Control+Alt+KeyM');
    expect(combination(key('KeyM', 'M', { shiftKey: true, metaKey: true }))).toBe('Shift+Super+KeyM');
    expect(combination(key('F9', 'F9'))).toBe('F9');
    expect(combination(key('ControlLeft', 'Control', { ctrlKey: true }))).toBeNull();
  });

  it('are shown as people call them', () => {
    expect(keysLabel('Control+Alt+KeyM')).toBe('Ctrl + Alt + M');
    expect(keysLabel('Control+Digit1')).toBe('Ctrl + 1');
    expect(keysLabel('Shift+Super+Space')).toBe('Shift + Super + Space');
    expect(keysLabel('Alt+ArrowUp')).toBe('Alt + ↑');
    expect(keysLabel('F9')).toBe('F9');
  });

  it('that cannot be had are told of in a sentence that names them', () => {
    for (const problem of ['taken', 'same', 'bare', 'unknown', 'refused'] as const) {
      expect(problemSentence(problem, 'Control+KeyM')).toMatch(/Ctrl \+ M.*\.$/);
    }
  });
});

describe('hotkeys in the settings', () => {
  it('take the next keys, whatever they are, and Escape leaves all as it was', async () => {
    const { bridge } = await open('settings-desktop');
    const field = screen.getByRole('button', { name: /^Keys for “Hang up or decline”/ });
    await userEvent.click(field);
    expect(field).toHaveTextContent('Press the keys');
    field.dispatchEvent(key('Escape', 'Escape', { bubbles: true, cancelable: true }));
    await settled();
    const set = () => bridge.wished.filter((wish) => wish.type === 'set-hotkey');
    expect(set()).toEqual([]);
    expect(bridge.wished).toEqual([{ type: 'listen-for-keys', on: true }, { type: 'listen-for-keys', on: false }]);
    await userEvent.click(field);
    field.dispatchEvent(key('KeyH', 'h', { ctrlKey: true, bubbles: true, cancelable: true }));
    await settled();
    expect(set()).toEqual([{ type: 'set-hotkey', action: 'hang-up', keys: 'Control+KeyH' }]);
    expect(screen.getByText(/Another program has Ctrl \+ Shift \+ F9/)).toBeInTheDocument();
  });

  it('can be cleared where they are set', async () => {
    const { bridge } = await open('settings-desktop');
    await userEvent.click(screen.getByRole('button', { name: 'No keys for “Push to talk”' }));
    expect(bridge.wished).toEqual([{ type: 'set-hotkey', action: 'push-to-talk', keys: null }]);
    expect(document.querySelector('[aria-label="No keys for “Hang up or decline”"]')).toBeDisabled();
  });

  it('say so where a desktop has none', async () => {
    const { tellDesktop } = await open('settings-desktop');
    tellDesktop({ hotkeyWay: 'none' });
    expect(screen.getByText(/lets no program have keys/)).toBeInTheDocument();
    expect(screen.queryByRole('button', { name: /^Keys for/ })).toBeNull();
  });
});

describe('this computer', () => {
  it('starts Ahoy only when asked to, and says where that cannot be changed', async () => {
    const { bridge, tellDesktop } = await open('settings');
    const one = screen.getByRole('switch', { name: /Start with the computer/ });
    expect(one).not.toBeChecked();
    await userEvent.click(one);
    expect(bridge.wished).toEqual([{ type: 'set-autostart', on: true }]);
    tellDesktop({ autostart: 'refused' });
    expect(screen.getByRole('switch', { name: /Start with the computer/ })).toBeDisabled();
  });

  it('fills in a link that was opened elsewhere, and adds nobody by itself', async () => {
    const { bridge } = await open('link');
    await settled();
    expect(screen.getByLabelText('Paste their link')).toHaveValue('ahoy://card/didem');
    expect(screen.getByText('This is Didem\'s link.')).toBeInTheDocument();
    expect(bridge.wished).toEqual([{ type: 'link-taken' }]);
    expect(bridge.sent).toEqual([]);
  });

  it('offers the report of a crash and deletes it when told to', async () => {
    const { bridge } = await open({ ...scenes['crash']!() });
    await userEvent.click(screen.getByRole('button', { name: 'Show report' }));
    expect(screen.getByText(/nothing is sent/)).toBeInTheDocument();
    const [first] = screen.getAllByRole('button', { name: 'Delete', hidden: true });
    await userEvent.click(first!);
    expect(bridge.wished).toEqual([{ type: 'delete-crash' }]);
  });

  it('asks before a newer version is installed, and takes no for an answer', async () => {
    const { bridge, tellDesktop } = await open('update');
    await userEvent.click(screen.getByRole('button', { name: 'Later' }));
    await userEvent.click(screen.getByRole('button', { name: 'Install' }));
    expect(bridge.wished).toEqual([{ type: 'dismiss-update' }, { type: 'install-update' }]);
    tellDesktop({ update: { type: 'installed', version: '0.2.0' } });
    await userEvent.click(screen.getByRole('button', { name: 'Restart now' }));
    expect(bridge.wished.at(-1)).toEqual({ type: 'restart' });
  });
});

describe('the mini window', () => {
  it('mutes, hangs up and gives way to the big window', async () => {
    const { bridge, sent, tell } = await open('mini');
    await userEvent.click(screen.getByRole('button', { name: 'Mute microphone' }));
    expect(sent('set-microphone')).toEqual([{ type: 'set-microphone', on: false }]);
    tell({ call: call({ local: { microphone: false, camera: true, paused: false } }) });
    expect(screen.getByRole('button', { name: 'Unmute microphone' })).toBeInTheDocument();
    press('Escape');
    expect(bridge.wished).toEqual([{ type: 'set-mini', on: false }]);
    await userEvent.click(screen.getByRole('button', { name: 'Hang up' }));
    expect(sent('hang-up')).toHaveLength(1);
  });

  it('shows nothing without a call', async () => {
    const { container } = await open({ snapshot: home(), route: '#/mini' });
    expect(container.querySelector('main')).toBeNull();
  });

  it('is asked for in a call', async () => {
    const { bridge } = await open('in-call');
    await userEvent.click(screen.getByRole('button', { name: 'Small window on top' }));
    expect(bridge.wished).toEqual([{ type: 'set-mini', on: true }]);
  });
});
