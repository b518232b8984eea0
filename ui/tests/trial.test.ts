import { fireEvent, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';
import { call, said } from '../src/dev/scenes';
import { open } from './helpers';

const button = (name: string | RegExp) => screen.getByRole('button', { name });

describe('trying the sound', () => {
  const off = { type: 'off' } as const;
  const status = () => document.querySelector('.trial [role=status]');
  const finding = (key: Parameters<typeof said>[0], tone: 'plain' | 'warning', kind: 'microphone' | 'speaker' = 'microphone') => ({
    step: off,
    found: { kind, sentence: said(key, { label: 'Jabra Evolve2 65' }), tone },
  });

  it.each(['first-start', 'settings'])('%s records, plays back, says what was found, and forgets it when it is left', async (scene) => {
    const { sent, tell, unmount } = await open(scene);
    await fireEvent.click(button('Record and play back 3 seconds'));
    expect(sent('try-microphone')).toHaveLength(1);
    tell({ trial: { step: { type: 'recording', sinceMs: null }, found: null } });
    expect(status()).toHaveTextContent('Opening the microphone…');
    expect(document.querySelector('.time.runs')).toBeNull();
    tell({ trial: { step: { type: 'recording', sinceMs: Date.now() }, found: null } });
    expect(status()).toHaveTextContent('Recording: say something…');
    expect(document.querySelector('.time.runs')).not.toBeNull();
    expect(button('Stop')).toBeVisible();
    expect(screen.queryByRole('button', { name: 'Record and play back 3 seconds' })).toBeNull();
    await fireEvent.click(button('Play a test sound'));
    expect(sent('try-speaker')).toHaveLength(1);
    tell({ trial: { ...finding('trial.microphone-heard', 'plain'), step: { type: 'playing-back' } } });
    expect(status()).toHaveTextContent('That is how you sound…');
    tell({ trial: finding('trial.microphone-heard', 'plain') });
    expect(status()).toHaveTextContent('Your microphone works.');
    expect(status()).not.toHaveClass('warning');
    expect(sent('end-trial')).toEqual([]);
    unmount();
    expect(sent('end-trial')).toHaveLength(1);
  });

  it('the test sound can be stopped, and asks whether it was heard from the speaker that played it', async () => {
    const { sent, tell } = await open('settings');
    await fireEvent.click(button('Play a test sound'));
    expect(sent('try-speaker')).toHaveLength(1);
    tell({ trial: { step: { type: 'notes' }, found: null } });
    expect(status()).toHaveTextContent('Playing three notes…');
    await fireEvent.click(button('Stop'));
    expect(sent('end-trial')).toHaveLength(1);
    tell({ trial: finding('trial.speaker-played', 'plain', 'speaker') });
    expect(status()).toHaveTextContent('through Jabra Evolve2 65. If you heard nothing');
  });

  it.each([
    ['Record and play back 3 seconds', { type: 'recording', sinceMs: null }, 'Opening the microphone…'],
    ['Play a test sound', { type: 'notes' }, 'Playing three notes…'],
  ] as const)('%s: the button that began it stops it, and keeps the focus and its place', async (name, step, said) => {
    const user = userEvent.setup();
    const { sent, tell } = await open('settings');
    const begun = button(name);
    const places = () => document.querySelectorAll('.trial *').length;
    const before = places();
    begun.focus();
    await user.keyboard('{Enter}');
    tell({ trial: { step, found: null } });
    expect(begun).toHaveFocus();
    expect(begun).toHaveAccessibleName('Stop');
    expect(status()).toHaveTextContent(said);
    expect(places()).toBe(before);
    await user.keyboard('{Enter}');
    expect(sent('end-trial')).toHaveLength(1);
    tell({ trial: { step: off, found: null } });
    expect(begun).toHaveFocus();
    expect(begun).toHaveAccessibleName(name);
  });

  it('what is wrong is said in words, once', async () => {
    const { tell, snapshot } = await open('settings');
    tell({ trial: finding('trial.microphone-silent', 'warning') });
    expect(status()).toHaveTextContent(/muted on the headset, or kept from Ahoy in the system's privacy settings/);
    expect(status()).toHaveClass('warning');
    const microphone = { ...snapshot.devices.microphone, problem: said('microphone.none') };
    tell({ devices: { ...snapshot.devices, microphone }, trial: finding('microphone.none', 'warning') });
    expect(screen.getAllByText(/No microphone was found/)).toHaveLength(1);
  });

  it('within a call it is a menu away, and says who hears what', async () => {
    const { sent, tell } = await open('in-call');
    await fireEvent.click(button('Choose microphone and speaker'));
    await fireEvent.click(screen.getByRole('menuitem', { name: 'Device settings…' }));
    const dialog = within(screen.getByRole('dialog', { name: 'Devices' }));
    expect(dialog.getByRole('meter', { name: 'Microphone level' })).toBeInTheDocument();
    expect(status()).toHaveTextContent('the others hear you while it records');
    tell({ call: call({ local: { microphone: false, camera: true, paused: false } }) });
    expect(status()).toHaveTextContent('');
    await fireEvent.click(dialog.getByRole('button', { name: 'Record and play back 3 seconds' }));
    expect(sent('try-microphone')).toHaveLength(1);
    expect(sent('preview')).toEqual([]);
    await fireEvent.click(dialog.getByRole('button', { name: 'Close' }));
    expect(sent('end-trial')).toHaveLength(1);
  });
});
