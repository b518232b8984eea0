import { fireEvent, screen, within } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import axe from 'axe-core';
import { flushSync } from 'svelte';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { call, contact, home, point, quality, scenes, sentence } from '../src/dev/scenes';
import { announcement } from '../src/lib/announce';
import { NAMES, speak } from '../src/lib/language.svelte';
import type { Language } from '../src/lib/types';
import { open, press, release, settled } from './helpers';

const button = (name: string | RegExp) => screen.getByRole('button', { name });

afterEach(() => vi.useRealTimers());

describe('every screen', () => {
  it.each(Object.keys(scenes))('%s is whole to a screen reader', async (name) => {
    const { container } = await open(name);
    expect(container.textContent?.trim()).not.toBe('');
    // Colours are computed in tokens.test.ts; a DOM without layout cannot judge them, nor what scrolls.
    const found = await axe.run(container, {
      rules: { 'color-contrast': { enabled: false }, region: { enabled: false }, 'scrollable-region-focusable': { enabled: false } },
    });
    expect(found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(' ')}`)).toEqual([]);
  });
});

describe('every language', () => {
  it.each(Object.keys(NAMES) as Language[])('%s fills every screen, and leaves no hole', async (language) => {
    for (const name of Object.keys(scenes)) {
      speak(language);
      const { container, unmount } = await open(name);
      expect([name, document.documentElement.lang]).toEqual([name, language]);
      const labels = [...container.querySelectorAll('[aria-label], [title], [placeholder]')].flatMap((node) =>
        ['aria-label', 'title', 'placeholder'].map((which) => node.getAttribute(which) ?? ''),
      );
      expect([container.textContent, ...labels].filter((text) => /[{}]|undefined/.test(text ?? ''))).toEqual([]);
      unmount();
    }
  }, 60_000);

  it('is chosen in the settings by its own name, and takes the place of the other at once', async () => {
    const { sent, tell } = await open('settings');
    const german = screen.getByRole('radio', { name: 'Deutsch' });
    expect(german.closest('label')).toHaveAttribute('lang', 'de');
    await fireEvent.click(german);
    expect(sent('set-language')).toEqual([{ type: 'set-language', language: 'de' }]);
    tell({ language: 'de', chosenLanguage: 'de' });
    expect(screen.getByRole('heading', { name: 'Einstellungen' })).toBeVisible();
    expect(document.documentElement).toHaveAttribute('lang', 'de');
    await fireEvent.click(within(screen.getByRole('radiogroup', { name: 'Sprache' })).getByRole('radio', { name: 'Wie das System' }));
    expect(sent('set-language').at(-1)).toEqual({ type: 'set-language', language: null });
  });

  it('sorts people by its own alphabet', async () => {
    const names = () => [...document.querySelectorAll('.open .name')].map((node) => node.textContent);
    const contacts = ['Ümit', 'Zoë', 'Ulf', 'Çiğdem', 'Cem', 'Işık', 'İlker', 'Veli'].map((name) => contact(name, name));
    const { tell } = await open({ snapshot: home({ contacts, language: 'tr' }) });
    expect(names()).toEqual(['Cem', 'Çiğdem', 'Işık', 'İlker', 'Ulf', 'Ümit', 'Veli', 'Zoë']);
    tell({ language: 'de' });
    expect(names()).toEqual(['Cem', 'Çiğdem', 'Işık', 'İlker', 'Ulf', 'Ümit', 'Veli', 'Zoë'].sort(new Intl.Collator('de-DE').compare));
  });
});

describe('first start', () => {
  it('asks for a name, shows the camera, and sends the name without its spaces', async () => {
    const user = userEvent.setup();
    const { sent, bridge } = await open('first-start');
    expect(bridge.sent).toContainEqual({ type: 'preview', on: true });
    expect(button('Start')).toBeDisabled();
    const field = screen.getByLabelText('What should people call you?');
    expect(field).toHaveFocus();
    await user.type(field, '   ');
    expect(button('Start')).toBeDisabled();
    await user.clear(field);
    await user.type(field, '  Ada Byron {Enter}');
    expect(sent('set-name')).toEqual([{ type: 'set-name', name: 'Ada Byron' }]);
  });

  it('releases the camera when it is over', async () => {
    const { bridge, tell } = await open('first-start');
    tell({ me: { ...home().me, name: 'Ada' } });
    expect(bridge.sent.filter((one) => one.type === 'preview').at(-1)).toEqual({ type: 'preview', on: false });
  });

  it('says what is wrong with the camera in its place', async () => {
    await open('first-start-no-camera');
    expect(screen.getByText('No camera was found. Plug one in, or go on without a picture.')).toBeVisible();
  });
});

describe('the list', () => {
  it('calls with one click, with or without picture', async () => {
    const { sent } = await open('contacts');
    await fireEvent.click(within(screen.getByRole('navigation')).getByRole('button', { name: 'Call Didem Aksoy with video' }));
    await fireEvent.click(within(screen.getByRole('navigation')).getByRole('button', { name: 'Call Didem Aksoy with sound only' }));
    expect(sent('call')).toEqual([
      { type: 'call', id: 'didem-3r8v', video: true },
      { type: 'call', id: 'didem-3r8v', video: false },
    ]);
  });

  it('finds people, and says when there is nobody', async () => {
    const user = userEvent.setup();
    await open('contacts');
    const list = within(screen.getByRole('tabpanel'));
    await user.type(screen.getByLabelText('Search'), 'elif');
    expect(list.getByText('Elif Şahin')).toBeVisible();
    expect(list.queryByText('Ben Okafor')).toBeNull();
    await user.type(screen.getByLabelText('Search'), 'zz');
    expect(list.getByText('Nobody is called “elifzz”.')).toBeVisible();
  });

  it('is walked through with the arrow keys', async () => {
    await open('contacts');
    const rows = within(screen.getByRole('tabpanel')).getAllByRole('button').filter((row) => row.className.includes('open'));
    rows[0]?.focus();
    press('ArrowDown');
    expect(rows[1]).toHaveFocus();
    press('ArrowUp');
    press('ArrowUp');
    expect(rows[0]).toHaveFocus();
  });

  it('counts missed calls until they were looked at', async () => {
    const { sent, tell } = await open('contacts');
    expect(sent('mark-history-seen')).toEqual([]);
    const tab = screen.getByRole('tab', { name: 'Calls, 2 missed' });
    await fireEvent.click(tab);
    expect(sent('mark-history-seen')).toHaveLength(1);
    tell({ unseenMissed: 0 });
    expect(within(screen.getByRole('tabpanel')).getAllByText('Missed')).toHaveLength(2);
    expect(sent('mark-history-seen')).toHaveLength(1);
  });

  it('says why there is no connection', async () => {
    await open({ snapshot: scenes['contact-offline']!().snapshot });
    await fireEvent.click(button('Not connected: show why'));
    expect(screen.getByText(/Ahoy keeps trying/)).toBeVisible();
  });

  it('leads to what waits, and a stranger can be added, blocked or dismissed', async () => {
    const { sent, tell } = await open('contacts');
    await fireEvent.click(button('2 requests'));
    await fireEvent.click(button('Add Hugo'));
    await fireEvent.click(button('Block Hugo'));
    await fireEvent.click(button("Dismiss Inês Duarte's request"));
    expect(sent('accept-request')).toEqual([{ type: 'accept-request', id: 'hugo-1a7z-66qe-0t3m' }]);
    expect(sent('block-contact')).toEqual([{ type: 'block-contact', id: 'hugo-1a7z-66qe-0t3m', blocked: true }]);
    expect(sent('dismiss-request')).toEqual([{ type: 'dismiss-request', id: 'ines-6b3y-29fd-8k1w' }]);
    tell({ requests: [] });
    expect(screen.queryByRole('heading', { name: 'Requests' })).toBeNull();
  });
});

describe('a contact', () => {
  const menu = async (name: string) => {
    await fireEvent.click(button('More about Ben Okafor'));
    await fireEvent.click(screen.getByRole(/Connect/.test(name) ? 'menuitemcheckbox' : 'menuitem', { name: new RegExp(name) }));
  };

  it('is renamed', async () => {
    const user = userEvent.setup();
    const { sent } = await open('contact');
    await menu('Rename');
    const field = screen.getByLabelText('Name');
    await user.clear(field);
    await user.type(field, 'Benny{Enter}');
    expect(sent('rename-contact')).toEqual([{ type: 'rename-contact', id: 'ben-7k2q', name: 'Benny' }]);
  });

  it('gives way to a call: its answer could not be reached', async () => {
    const { container, tell } = await open('contact');
    await menu('Rename');
    expect(container.querySelector('dialog')).not.toBeNull();
    tell({ call: call({ phase: { type: 'incoming' } }) });
    expect(container.querySelector('dialog')).toBeNull();
    expect(screen.getAllByRole('button', { name: /^Accept/ }).length).toBeGreaterThan(0);
  });

  it('is removed or blocked only after a question', async () => {
    const { sent } = await open('contact');
    await menu('Remove');
    expect(sent('remove-contact')).toEqual([]);
    await fireEvent.click(button('Cancel'));
    await menu('Remove');
    await fireEvent.click(button('Remove'));
    expect(sent('remove-contact')).toEqual([{ type: 'remove-contact', id: 'ben-7k2q' }]);
    await menu('Block');
    await fireEvent.click(button('Block'));
    expect(sent('block-contact')).toEqual([{ type: 'block-contact', id: 'ben-7k2q', blocked: true }]);
  });

  it('connects early or not', async () => {
    const { sent } = await open('contact');
    await menu('Connect while it rings');
    expect(sent('set-connect-early')).toEqual([{ type: 'set-connect-early', id: 'ben-7k2q', enabled: false }]);
  });

  it('who is blocked can only be let in again', async () => {
    const { sent } = await open({ snapshot: home({ contacts: [contact('b', 'Ben', { blocked: true, presence: 'online' })] }), view: { type: 'contact', id: 'b' } });
    expect(screen.queryByRole('button', { name: /^(Video call|Sound call|Call )/ })).toBeNull();
    await fireEvent.click(button('Unblock'));
    expect(sent('block-contact')).toEqual([{ type: 'block-contact', id: 'b', blocked: false }]);
  });

  it('who goes away takes their pane with them', async () => {
    const { tell, snapshot } = await open({ snapshot: home(), view: { type: 'contact', id: 'cem-9x1d' } });
    expect(screen.getByRole('heading', { level: 1, name: 'Cem Yılmaz' })).toBeVisible();
    tell({ contacts: snapshot.contacts.filter((one) => one.id !== 'cem-9x1d') });
    expect(screen.queryByRole('heading', { name: 'Cem Yılmaz' })).toBeNull();
    expect(screen.getByRole('heading', { level: 1, name: 'Ben Okafor' })).toBeVisible();
  });
});

describe('adding a contact', () => {
  const field = () => screen.getByLabelText('Paste their link');

  it('reads the link while it is typed, and adds who it names', async () => {
    const user = userEvent.setup();
    const { sent } = await open('add');
    expect(button('Add contact')).toBeDefined();
    await user.type(field(), 'ahoy://x');
    expect(await screen.findByText("This is Didem's link.")).toBeVisible();
    await user.click(button('Add Didem'));
    expect(sent('add-contact')).toEqual([{ type: 'add-contact', link: 'ahoy://x' }]);
  });

  it('warns that a card leads nowhere when the rendezvous is on this computer', async () => {
    const { tell, snapshot } = await open('add');
    expect(screen.queryByRole('note')).toBeNull();
    tell({ me: { ...snapshot.me, cardReach: 'this-computer' } });
    expect(screen.getByRole('note')).toHaveTextContent('This link works on this computer only');
    tell({ me: { ...snapshot.me, cardReach: 'local-network' } });
    expect(screen.getByRole('note')).toHaveTextContent('your own network only');
  });

  it('says what is wrong with a damaged link, and does not send it', async () => {
    const user = userEvent.setup();
    const { bridge, sent } = await open('add');
    bridge.check = { type: 'refused', text: "This link is damaged: its last letters don't fit. Copy it again." };
    await user.type(field(), 'ahoy://damaged{Enter}');
    expect(await screen.findByText(/its last letters don't fit/)).toBeVisible();
    expect(field()).toHaveAttribute('aria-invalid', 'true');
    expect(sent('add-contact')).toEqual([]);
  });

  it('knows one’s own link and people already there', async () => {
    const user = userEvent.setup();
    const { bridge } = await open('add');
    bridge.check = { type: 'card', id: 'ada-4c9f', name: 'Ada', servers: [] };
    await user.type(field(), 'a');
    expect(await screen.findByText(/your own link/)).toBeVisible();
    bridge.check = { type: 'card', id: 'ben-7k2q', name: 'Benjamin', servers: [] };
    await user.type(field(), 'b');
    expect(await screen.findByText('Ben Okafor is already one of your contacts.')).toBeVisible();
  });

  it('scans with the camera, stops, and opens whoever was found', async () => {
    const { bridge, tell, snapshot } = await open('add');
    await fireEvent.click(button('Scan with camera'));
    expect(bridge.sent).toContainEqual({ type: 'scan-code', on: true });
    expect(bridge.sent).toContainEqual({ type: 'preview', on: true });
    tell({ contacts: [...snapshot.contacts, contact('new', 'Zoë')] });
    expect(screen.getByRole('heading', { level: 1 })).toHaveTextContent('Zoë');
    expect(bridge.sent).toContainEqual({ type: 'scan-code', on: false });
    expect(bridge.sent).toContainEqual({ type: 'preview', on: false });
  });

  it('copies one’s own link', async () => {
    const user = userEvent.setup();
    const { snapshot } = await open('add');
    await user.click(button('Copy'));
    expect(await screen.findByText('Copied')).toBeVisible();
    expect(await navigator.clipboard.readText()).toBe(snapshot.me.cardLink);
  });

  it('is what a list without anybody offers', async () => {
    await open('empty');
    expect(screen.getByRole('heading', { name: 'Add contact' })).toBeVisible();
    expect(screen.getByAltText('Your contact card as a QR code')).toHaveAttribute('src', expect.stringMatching(/^data:image\/svg\+xml/));
  });
});

describe('an incoming call', () => {
  it.each([
    ['Enter', 'video'],
    ['a', 'audio'],
    ['Escape', 'decline'],
  ])('is answered by %s: %s', async (key, how) => {
    const { sent } = await open('incoming-window');
    press(key);
    expect(sent('answer')).toEqual([{ type: 'answer', how }]);
  });

  it('is answered by its buttons, which do what they say whichever has the focus', async () => {
    const { sent } = await open('incoming-overlay');
    button('Decline').focus();
    // The browser turns this Enter into a click of Decline; the card must not accept beside it.
    press('Enter', button('Decline'));
    expect(sent('answer')).toEqual([]);
    await fireEvent.click(button('Decline'));
    await fireEvent.click(button('Accept without video'));
    await fireEvent.click(button('Accept with video'));
    expect(sent('answer').map((one) => ('how' in one ? one.how : ''))).toEqual(['decline', 'audio', 'video']);
  });

  it('leaves the keyboard to whoever is typing', async () => {
    const { sent, tell } = await open({ snapshot: home() });
    const search = screen.getByLabelText('Search');
    search.focus();
    tell({ call: call({ direction: 'incoming', phase: { type: 'incoming' } }) });
    expect(search).toHaveFocus();
    for (const key of ['a', 'Enter', 'Escape']) press(key, search);
    expect(sent('answer')).toEqual([]);
    expect(screen.getByRole('alert')).toHaveTextContent('Ben Okafor is calling with video.');
  });

  it('for sound is accepted with sound', async () => {
    const { sent } = await open('incoming-sound');
    expect(screen.queryByRole('button', { name: 'Accept without video' })).toBeNull();
    press('Enter');
    expect(sent('answer')).toEqual([{ type: 'answer', how: 'audio' }]);
  });

  it('leaves its small window empty when it is over', async () => {
    const { tell } = await open('incoming-window');
    tell({ call: null });
    expect(screen.queryByRole('alertdialog')).toBeNull();
    expect(screen.queryByRole('navigation')).toBeNull();
  });
});

describe('in a call', () => {
  it('tells how large the picture is shown, and that nobody sees it while the window is hidden', async () => {
    vi.useFakeTimers();
    const { sent } = await open('in-call');
    const hide = (hidden: boolean) => {
      Object.defineProperty(document, 'hidden', { configurable: true, value: hidden });
      document.dispatchEvent(new Event('visibilitychange'));
      flushSync();
      vi.advanceTimersByTime(400);
    };
    vi.advanceTimersByTime(400);
    const first = sent('set-view').at(-1);
    hide(true);
    expect(sent('set-view').at(-1)).toEqual({ type: 'set-view', width: 16, height: 16 });
    hide(false);
    expect(sent('set-view').at(-1)).toEqual(first);
  });

  it('M and V do what the buttons do', async () => {
    const { bridge } = await open('in-call');
    press('m');
    press('V');
    await fireEvent.click(button('Mute microphone'));
    await fireEvent.click(button('Turn camera off'));
    await fireEvent.click(button('Hang up'));
    expect(bridge.sent).toEqual([
      { type: 'set-microphone', on: false },
      { type: 'set-camera', on: false },
      { type: 'set-microphone', on: false },
      { type: 'set-camera', on: false },
      { type: 'hang-up' },
    ]);
  });

  it('M with Ctrl, held down, or while a menu is open is something else', async () => {
    const { bridge } = await open('in-call');
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'm', ctrlKey: true, bubbles: true }));
    document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'm', repeat: true, bubbles: true }));
    await fireEvent.click(button('Choose camera'));
    press('m');
    expect(bridge.sent).toEqual([]);
  });

  it('Space speaks for as long as it is held', async () => {
    const { bridge, tell, snapshot } = await open('in-call-muted');
    press(' ', document.body);
    expect(bridge.sent).toEqual([{ type: 'set-microphone', on: true }]);
    tell({ call: { ...snapshot.call!, local: { microphone: true, camera: false, paused: false } } });
    release(' ', document.body);
    expect(bridge.sent.at(-1)).toEqual({ type: 'set-microphone', on: false });
  });

  it('Space mutes again when the window loses the keyboard, and leaves an open microphone alone', async () => {
    const muted = await open('in-call-muted');
    press(' ', document.body);
    window.dispatchEvent(new Event('blur'));
    expect(muted.bridge.sent.at(-1)).toEqual({ type: 'set-microphone', on: false });
    muted.unmount();
    const talking = await open('in-call');
    press(' ', document.body);
    release(' ', document.body);
    expect(talking.bridge.sent).toEqual([]);
  });

  it('the bar leaves after three seconds and comes back, but muted is never hidden', async () => {
    vi.useFakeTimers();
    await open('in-call-muted');
    const main = screen.getByRole('main');
    expect(main).not.toHaveClass('away');
    vi.advanceTimersByTime(3100);
    flushSync();
    expect(main).toHaveClass('away');
    expect(screen.getByText('You are muted').closest('.controls')).toBeNull();
    expect(screen.getByText('You are muted')).toBeVisible();
    await fireEvent.pointerMove(main);
    expect(main).not.toHaveClass('away');
    vi.advanceTimersByTime(2900);
    flushSync();
    expect(main).not.toHaveClass('away');
  });

  it('the bar stays while a menu is open, and while reconnecting', async () => {
    vi.useFakeTimers();
    const { tell, snapshot } = await open('in-call');
    await fireEvent.click(button('Choose camera'));
    vi.advanceTimersByTime(9000);
    flushSync();
    expect(screen.getByRole('main')).not.toHaveClass('away');
    press('Escape');
    tell({ call: { ...snapshot.call!, phase: { type: 'reconnecting', lostMs: Date.now(), sinceMs: 1 } } });
    vi.advanceTimersByTime(9000);
    flushSync();
    expect(screen.getByRole('main')).not.toHaveClass('away');
    expect(screen.getByText('Reconnecting… 9 s')).toBeVisible();
    expect(screen.getByRole('alert')).toHaveTextContent('The connection is lost. Reconnecting');
  });

  it('the microphone button shows the level, and nothing while muted', async () => {
    const { bridge, tell, snapshot } = await open('in-call');
    const level = () => button(/(un)?mute microphone/i).querySelector<HTMLElement>('.level')?.style.transform;
    bridge.hear({ microphone: 1, remote: 0 });
    flushSync();
    expect(level()).toBe('scaleY(1)');
    tell({ call: { ...snapshot.call!, local: { microphone: false, camera: true, paused: false } } });
    expect(level()).toBe('scaleY(0)');
    expect(screen.getByText('You are muted. Press M, or hold Space, to be heard.')).toBeVisible();
    bridge.hear({ microphone: 0.001, remote: 0 });
    flushSync();
    expect(screen.getByText('You are muted', { selector: '.muted' })).toBeVisible();
  });

  it('devices are chosen with the arrow keys, and Escape gives the focus back', async () => {
    const { sent } = await open('in-call');
    const arrow = button('Choose microphone and speaker');
    await fireEvent.click(arrow);
    await Promise.resolve();
    expect(screen.getByRole('menuitemradio', { name: 'System default (Internal Microphone)' })).toHaveFocus();
    press('ArrowDown');
    press('ArrowDown');
    expect(document.activeElement).toHaveTextContent('Jabra Evolve2 65');
    press('Home');
    press('ArrowUp');
    expect(screen.getByRole('menuitem', { name: 'Device settings…' })).toHaveFocus();
    press('Escape');
    expect(screen.queryByRole('menu')).toBeNull();
    expect(arrow).toHaveFocus();
    await fireEvent.click(arrow);
    await fireEvent.click(screen.getByRole('menuitemradio', { name: 'Internal Microphone' }));
    expect(sent('choose-device')).toEqual([{ type: 'choose-device', kind: 'microphone', device: { type: 'device', id: 'mic' } }]);
  });

  it('a device that comes or goes while the menu is open changes the list, not the choice', async () => {
    const { tell, snapshot } = await open('in-call');
    await fireEvent.click(button('Choose camera'));
    tell({ devices: { ...snapshot.devices, camera: { ...snapshot.devices.camera, available: [] } } });
    expect(screen.getAllByRole('menuitemradio').map((item) => item.getAttribute('aria-checked'))).toEqual(['true', 'false']);
  });

  it('a camera that cannot be had says so on its button', async () => {
    await open('camera-problem');
    expect(button('Turn camera on')).toHaveAccessibleDescription(/Another program is using the camera/);
  });

  it('a speaker that would be overheard waits for one click, and the sound button says what is wrong', async () => {
    const { sent } = await open('speaker-held');
    expect(button('Mute microphone')).toHaveAccessibleDescription(/you are heard through Internal Microphone/);
    await fireEvent.click(button('Play through Built-in Speakers'));
    expect(sent('choose-device')).toEqual([{ type: 'choose-device', kind: 'speaker', device: { type: 'device', id: 'spk' } }]);
    await fireEvent.click(button('Choose microphone and speaker'));
    const away = screen.getAllByRole('menuitemradio', { name: /Jabra Evolve2 65/ });
    expect(away.map((item) => item.getAttribute('aria-checked'))).toEqual(['true', 'true']);
    expect(away[0]).toHaveTextContent('Not plugged in now');
  });

  it('quality is bars with their sentence, and a chart on a click', async () => {
    const { bridge, tell, snapshot, container } = await open('in-call-weak');
    const bars = button('1 of 4 bars. Your upload is slow.');
    expect(bars.querySelectorAll('.lit')).toHaveLength(1);
    expect(bars).toHaveAttribute('title', 'Your upload is slow. Close other uploads, or use a cable or another network.');
    await fireEvent.click(bars);
    await settled();
    const region = screen.getByRole('region', { name: 'Connection' });
    expect(region).toHaveFocus();
    const panel = within(region);
    expect(panel.getAllByRole('img').map((chart) => chart.getAttribute('aria-label')?.split('.')[0])).toEqual([
      'Data rate',
      'Lost on the way',
      'Round trip',
      'Pictures a second',
    ]);
    expect(panel.getByRole('img', { name: /^Round trip\. \d+ ms now, \d+ ms to \d+ ms before\.$/ })).toBeVisible();
    expect(panel.getByRole('img', { name: /^Data rate\. Received: \d+ kbps now, .* Mbps before\. Sent: .* now, .* before\.$/ })).toBeVisible();
    expect(panel.getByText('10 min ago')).toBeVisible();
    const found = await axe.run(container, { rules: { 'color-contrast': { enabled: false }, region: { enabled: false } } });
    expect(found.violations.map((one) => one.id)).toEqual([]);

    // One more second: only that is asked for.
    const later = point({ atMs: Date.now() + 60_000, roundTripMs: null });
    const asked = vi.spyOn(bridge, 'qualityAfter').mockResolvedValue([later]);
    tell({ call: { ...snapshot.call!, quality: quality(2, 'Sound arrives unevenly.', { now: later }) } });
    await settled();
    expect(asked).toHaveBeenCalledOnce();
    expect(panel.getByText('Sound arrives unevenly.')).toBeVisible();
    expect(panel.getByText('–')).toBeVisible();

    press('Escape', region);
    expect(screen.queryByRole('region', { name: 'Connection' })).toBeNull();
    expect(screen.getByRole('button', { name: /^2 of 4 bars/ })).toHaveFocus();
  });

  it('the chart keeps what it has when the engine does not answer', async () => {
    const { bridge } = await open('quality');
    vi.spyOn(bridge, 'qualityAfter').mockRejectedValue(new Error('gone'));
    await fireEvent.click(button('4 of 4 bars. The connection is good.'));
    await settled();
    expect(within(screen.getByRole('region', { name: 'Connection' })).getByText('The connection is good.')).toBeVisible();
  });

  it('what to do about a bad call is one quiet line, said once, and gone when it is over', async () => {
    const { tell, snapshot } = await open('in-call');
    const line = 'Your upload is slow. Close other uploads, or use a cable or another network.';
    expect(document.querySelector('.advice')).toBeNull();
    const bad = scenes['in-call-weak']!().snapshot.call!.quality!;
    tell({ call: { ...snapshot.call!, quality: bad } });
    expect(screen.getByText('Your upload is slow.', { selector: '.what' })).toBeVisible();
    expect(screen.getByText(/^Close other uploads/, { selector: '.todo' })).toBeVisible();
    expect(screen.getByRole('status')).toHaveTextContent(line);
    // A second later it is the same, and not said again.
    expect(announcement({ ...snapshot, call: { ...snapshot.call!, quality: bad } }, { ...snapshot, call: { ...snapshot.call!, quality: { ...bad } } })).toBeNull();
    tell({ call: { ...snapshot.call!, quality: quality(4, 'The connection is good.') } });
    expect(document.querySelector('.advice')).toBeNull();
  });

  it('what to do is not said twice where a paused picture says it', async () => {
    const { tell, snapshot } = await open('in-call-weak');
    tell({ call: { ...snapshot.call!, local: { microphone: true, camera: true, paused: true } } });
    expect(document.querySelector('.advice')).toBeNull();
    expect(screen.getByText(/^Your picture is paused/)).toBeVisible();
  });

  it('a camera switched off over there leaves a person and a sentence', async () => {
    const { tell, snapshot } = await open('in-call');
    tell({ call: { ...snapshot.call!, remote: { microphone: false, camera: false, paused: false } } });
    expect(screen.getByText("Ben Okafor's camera is off", { selector: '.quiet' })).toBeVisible();
    expect(screen.getByRole('img', { name: 'Ben Okafor is muted' })).toBeVisible();
  });

  it('pictures without room pause with a sentence on both sides, and come back', async () => {
    const { tell, snapshot } = await open('picture-paused');
    expect(screen.getByText(/^Ben Okafor's connection has no room for a picture/, { selector: '.quiet' })).toBeVisible();
    expect(screen.getByText(/^Your picture is paused/)).toBeVisible();
    const on = { microphone: true, camera: true, paused: false };
    tell({ call: { ...snapshot.call!, local: on, remote: on } });
    expect(screen.queryByText(/is paused/)).toBeNull();
    expect(screen.queryByText(/no room for a picture/, { selector: '.quiet' })).toBeNull();
  });

  it('one’s own picture goes to another corner by keyboard', async () => {
    await open('in-call');
    const self = button(/^Your picture/);
    press('ArrowLeft', self);
    press('ArrowUp', self);
    expect(self).toHaveClass('left', 'top');
  });

  it('says ringing only when it rings', async () => {
    const { tell, snapshot } = await open('calling');
    expect(screen.getByText('Calling…')).toBeVisible();
    expect(screen.queryByText('Ringing…')).toBeNull();
    tell({ call: { ...snapshot.call!, phase: { type: 'ringing' } } });
    expect(screen.getByText('Ringing…')).toBeVisible();
    expect(button('Hang up')).toBeEnabled();
  });
});

describe('after a call', () => {
  it('the page says what happened and closes by itself after ten seconds', async () => {
    vi.useFakeTimers();
    const { sent } = await open('ended');
    expect(screen.getByText('You hung up.', { selector: '.sentence' })).toBeVisible();
    expect(screen.getByText('Lasted 12 min')).toBeVisible();
    vi.advanceTimersByTime(9_900);
    expect(sent('dismiss-ended')).toEqual([]);
    vi.advanceTimersByTime(200);
    expect(sent('dismiss-ended')).toHaveLength(1);
  });

  it('the page waits for whoever is at its buttons, and Escape closes it', async () => {
    vi.useFakeTimers();
    const { sent } = await open('unreachable');
    button('Call again').focus();
    flushSync();
    vi.advanceTimersByTime(30_000);
    expect(sent('dismiss-ended')).toEqual([]);
    press('Escape');
    expect(sent('dismiss-ended')).toHaveLength(1);
  });

  it('one can call again when it did not work out', async () => {
    const { sent } = await open('unreachable');
    await fireEvent.click(button('Call again'));
    expect(sent('call')).toEqual([{ type: 'call', id: 'ben-7k2q', video: true }]);
  });
});

describe('settings', () => {
  it('change name, theme, server, devices', async () => {
    const user = userEvent.setup();
    const { bridge } = await open('settings');
    await user.clear(screen.getByLabelText('Your name'));
    await user.type(screen.getByLabelText('Your name'), 'Ada{Enter}');
    await user.click(screen.getByLabelText('Dark'));
    expect(await screen.findByDisplayValue('wss://rendezvous.example')).toBeVisible();
    await user.clear(screen.getByLabelText('Address of the rendezvous'));
    await user.type(screen.getByLabelText('Address of the rendezvous'), 'https://no{Enter}');
    await user.clear(screen.getByLabelText('Address of the rendezvous'));
    await user.type(screen.getByLabelText('Address of the rendezvous'), 'wss://a.example{Enter}');
    await user.selectOptions(screen.getByLabelText('Camera'), 'Logitech BRIO');
    await user.click(button('Look again'));
    await user.click(button('Show picture and level'));
    await user.click(button('Stop preview'));
    expect(bridge.sent).toEqual([
      { type: 'set-name', name: 'Ada' },
      { type: 'set-theme', theme: 'dark' },
      { type: 'set-server', url: 'wss://a.example' },
      { type: 'choose-device', kind: 'camera', device: { type: 'device', id: 'usb' } },
      { type: 'refresh-devices' },
      { type: 'preview', on: true },
      { type: 'preview', on: false },
    ]);
  });

  it('switch what is done to the voice, and leave noise and loudness alone for music', async () => {
    const usual = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, music: false };
    const { sent, tell } = await open('settings');
    const part = (name: string) => screen.getByRole('switch', { name: new RegExp(name) });
    await fireEvent.click(part('Remove echo'));
    expect(sent('set-voice')).toEqual([{ type: 'set-voice', voice: { ...usual, echoCancellation: false } }]);
    tell({ voice: { ...usual, music: true } });
    expect(part('Play music')).toBeChecked();
    expect(part('Remove echo')).toBeEnabled();
    expect(part('Remove background noise')).toBeDisabled();
    expect(part('Even out loudness')).toBeDisabled();
  });

  it('clear the history only after a question', async () => {
    const { sent } = await open('settings');
    await fireEvent.click(button('Clear call history…'));
    expect(sent('clear-history')).toEqual([]);
    await fireEvent.click(button('Clear'));
    expect(sent('clear-history')).toHaveLength(1);
  });

  it('the theme of the snapshot is the theme of the window', async () => {
    const { tell } = await open({ snapshot: home({ theme: 'light' }) });
    expect(document.documentElement.dataset['theme']).toBe('light');
    tell({ theme: 'dark' });
    expect(document.documentElement.dataset['theme']).toBe('dark');
  });
});

describe('what goes wrong', () => {
  it('stays on the screen until it was read', async () => {
    const { sent, tell } = await open('notices');
    const notices = within(screen.getByRole('region', { name: 'Messages' }));
    await fireEvent.click(notices.getAllByRole('button', { name: 'Dismiss' })[1]!);
    expect(sent('dismiss-notice')).toEqual([{ type: 'dismiss-notice', id: 2 }]);
    tell({ notices: [{ id: 3, tone: 'warning', sentence: sentence('The disk is full.') }] });
    expect(notices.getByText('The disk is full.')).toBeVisible();
  });

  it('is said in a call too, while good news waits', async () => {
    const warning = { id: 4, tone: 'warning', sentence: sentence('The camera was unplugged.') } as const;
    const good = { id: 5, tone: 'plain', sentence: sentence('Zoë is now a contact.') } as const;
    await open({ snapshot: home({ call: call(), notices: [warning, good] }) });
    expect(screen.getByText('The camera was unplugged.')).toBeVisible();
    expect(screen.queryByText('Zoë is now a contact.')).toBeNull();
  });

  it('at the start is a sentence in the window', async () => {
    await open('failure');
    expect(screen.getByText(/already running with this profile/)).toBeVisible();
  });

  const busy = 'Ahoy is busy just now. Try again in a moment.';

  it.each(['contacts', 'in-call', 'ended', 'mini', 'incoming-window'])('a wish that the engine refused is a sentence on %s, said at once', async (scene) => {
    const { bridge, face } = await open(scene);
    bridge.command = () => Promise.reject(busy);
    face.send({ type: 'set-microphone', on: false });
    face.send({ type: 'set-microphone', on: false });
    await settled();
    const notices = within(screen.getByRole('region', { name: 'Messages' }));
    expect(notices.getAllByText(busy)).toHaveLength(1);
    // The mini window leaves speaking to the big one for what happens in the call, but this only it knows.
    expect(screen.getByRole('alert')).toHaveTextContent(busy);
    await fireEvent.click(notices.getByRole('button', { name: 'Dismiss' }));
    expect(screen.queryByRole('button', { name: 'Dismiss' })).toBeNull();
  });

  it('a refusal is not crowded out, and its dismissal is no business of the engine', async () => {
    const { bridge, face, sent } = await open('notices');
    bridge.desktop = () => Promise.reject(busy);
    face.wish({ type: 'set-mini', on: false });
    await settled();
    const notice = screen.getAllByText(busy).map((node) => node.closest<HTMLElement>('.notice')).find((node) => node !== null);
    await fireEvent.click(within(notice!).getByRole('button', { name: 'Dismiss' }));
    expect(sent('dismiss-notice')).toEqual([]);
    expect(face.refused).toEqual([]);
  });

  it('a broken way to the engine is a sentence too', async () => {
    const { bridge } = await open('in-call');
    bridge.command = () => Promise.reject(new Error('gone'));
    press('m');
    await settled();
    expect(screen.getByRole('alert')).toHaveTextContent(/Ahoy could not do that/);
  });
});
