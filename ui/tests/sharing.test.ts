import { fireEvent, screen, within } from '@testing-library/svelte';
import { describe, expect, it } from 'vitest';
import { open, press, settled } from './helpers';

const button = (name: string | RegExp) => screen.getByRole('button', { name });

describe('sharing a screen', () => {
  it('names what is shown and to whom, with sound off, and sends nothing before its button', async () => {
    const { sent } = await open('share-choose');
    press('s');
    await settled();
    const dialog = within(screen.getByRole('dialog', { name: 'Share your screen' }));
    expect(dialog.getByRole('button', { name: 'Share' })).toBeDisabled();
    await fireEvent.click(dialog.getByRole('radio', { name: 'Firefox – Invoice' }));
    expect(dialog.getByText('Ben Okafor will see Firefox – Invoice and all that happens in it.')).toBeVisible();
    expect(dialog.getByRole('switch')).not.toBeChecked();
    expect(sent('start-share')).toEqual([]);
    await fireEvent.click(dialog.getByRole('button', { name: 'Share' }));
    expect(sent('start-share')).toEqual([{ type: 'start-share', source: { type: 'source', id: 'window-7' }, sound: false }]);
    expect(sent('list-share-sources').map((command) => command.type === 'list-share-sources' && command.on)).toEqual([true, false]);
  });

  it('is shown for as long as it lasts, and pauses and stops', async () => {
    const { sent } = await open('share-showing');
    expect(screen.getByText(/You are showing Screen 1 to Ben Okafor/)).toBeVisible();
    await fireEvent.click(button('Pause'));
    await fireEvent.click(button('Stop sharing'));
    expect(sent('pause-share')).toEqual([{ type: 'pause-share', paused: true }]);
    expect(sent('stop-share')).toHaveLength(1);
  });

  it('a wish of the other side is a question that can be refused, never a share', async () => {
    const { sent } = await open('share-wanted');
    await fireEvent.click(button('Not now'));
    expect(sent('refuse-share')).toHaveLength(1);
    expect(sent('start-share')).toEqual([]);
  });

  it('of the other side has the window, says what it waits for, and is enlarged', async () => {
    await open('share-seen');
    const picture = screen.getByRole('img', { name: "Ben Okafor's screen" });
    expect(screen.getByText("Waiting for Ben Okafor's screen…")).toBeVisible();
    expect(button('Smaller')).toBeDisabled();
    await fireEvent.click(button('Larger'));
    expect(picture.parentElement).toHaveStyle({ width: '150%' });
    await fireEvent.click(button('Smaller'));
    expect(picture.parentElement).toHaveStyle({ width: '100%' });
  });

  it('can be asked for, and the dialog of a wish that is closed is a no', async () => {
    const { sent, tell, snapshot } = await open('share-choose');
    press('s');
    await settled();
    await fireEvent.click(button('Ask Ben Okafor to share instead'));
    expect(sent('ask-for-share')).toHaveLength(1);
    tell({ call: { ...snapshot.call!, share: { ...snapshot.call!.share, wanted: true } } });
    await fireEvent.click(button('Choose…'));
    await settled();
    await fireEvent.click(within(screen.getByRole('dialog')).getByRole('button', { name: 'Close' }));
    expect(sent('refuse-share')).toHaveLength(1);
    expect(sent('start-share')).toEqual([]);
  });

  it('that was interrupted goes on only when told to, and why it stopped is read and put away', async () => {
    const first = await open('share-interrupted');
    await fireEvent.click(button('Go on'));
    expect(first.sent('continue-share')).toHaveLength(1);
    first.unmount();
    const { sent } = await open('share-stopped');
    await fireEvent.click(button('Dismiss'));
    expect(sent('stop-share')).toHaveLength(1);
  });
});
