import { render } from '@testing-library/svelte';
import { flushSync } from 'svelte';
import App from '../src/App.svelte';
import { DevBridge } from '../src/dev/bridge';
import { scenes, type Scene } from '../src/dev/scenes';
import { Face } from '../src/lib/face.svelte';
import type { Desktop, Snapshot } from '../src/lib/types';

/** Opens the window on a scene. */
export async function open(scene: string | Scene) {
  const chosen = typeof scene === 'string' ? scenes[scene]?.() : scene;
  if (chosen === undefined) throw new Error(`no scene ${String(scene)}`);
  const bridge = new DevBridge(chosen.snapshot, { ...chosen, pictures: false });
  const face = new Face(bridge);
  const view = render(App, { props: { face, route: chosen.route, view: chosen.view, tab: chosen.tab } });
  await face.start();
  flushSync();
  return {
    ...view,
    bridge,
    face,
    snapshot: chosen.snapshot,
    /** The engine says something new, and the window has drawn it. */
    tell(change: Partial<Snapshot>) {
      bridge.tell(change);
      flushSync();
    },
    /** The shell says something new, and the window has drawn it. */
    tellDesktop(change: Partial<Desktop>) {
      bridge.tellDesktop(change);
      flushSync();
    },
    /** Wishes of one kind that were sent. */
    sent: (type: string) => bridge.sent.filter((command) => command.type === type),
  };
}

/** Presses a key where the focus is, or on an element. */
export function press(key: string, on: Element = document.activeElement ?? document.body) {
  const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true });
  on.dispatchEvent(event);
  flushSync();
  return event;
}

export function release(key: string, on: Element = document.activeElement ?? document.body) {
  on.dispatchEvent(new KeyboardEvent('keyup', { key, bubbles: true, cancelable: true }));
  flushSync();
}

/** Lets answers of the engine arrive and be drawn. */
export async function settled() {
  await new Promise((resolve) => setTimeout(resolve, 0));
  flushSync();
}
