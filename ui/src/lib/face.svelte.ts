import { getContext, setContext } from 'svelte';
import { announcement, type Announcement } from './announce';
import type { Bridge } from './bridge';
import { speak } from './language.svelte';
import { byName } from './person';
import type { Call, Command, Desktop, DesktopWish, Levels, Notice, ShareSources, Snapshot, Theme } from './types';
import { t } from './words';

/** What the window knows: the newest snapshot and levels, and the way to send wishes. */
export class Face {
  snapshot = $state.raw<Snapshot | null>(null);
  levels = $state.raw<Levels>({ microphone: 0, remote: 0 });
  /** What there is to know of this computer's own ways; `null` until it is told. */
  desktop = $state.raw<Desktop | null>(null);
  /** Why the engine did not start. */
  failure = $state<string | null>(null);
  said = $state.raw<Announcement | null>(null);
  /** What could be shared; `null` until it is told. */
  sources = $state.raw<ShareSources | null>(null);
  private sourcesAsked = false;
  /** What was refused on the way to the engine, as notices of this window until they are dismissed; below zero, where the engine has no identifiers. */
  refused = $state.raw<Notice[]>([]);

  constructor(readonly bridge: Bridge) {}

  async start() {
    try {
      await this.bridge.subscribe(
        (snapshot) => {
          speak(snapshot.language);
          this.said = announcement(this.snapshot, snapshot) ?? this.said;
          this.snapshot = { ...snapshot, contacts: byName(snapshot.contacts) };
        },
        (levels) => (this.levels = levels),
        (desktop) => (this.desktop = desktop),
      );
    } catch (reason) {
      this.failure = reason instanceof Error ? reason.message : String(reason);
    }
  }

  send(command: Command) {
    // What came of a wish shows in the next snapshot; only that it was not taken is answered here.
    void this.bridge.command(command).catch((reason) => this.refuse(reason));
  }

  wish(wish: DesktopWish) {
    void this.bridge.desktop(wish).catch((reason) => this.refuse(reason));
  }

  /** Somebody chooses what to share, or has done so. */
  listSources(on: boolean) {
    this.send({ type: 'list-share-sources', on });
    if (this.sourcesAsked) return;
    this.sourcesAsked = true;
    void this.bridge
      .shareSources((sources) => (this.sources = sources))
      .catch((reason) => {
        this.sourcesAsked = false;
        this.refuse(reason);
      });
  }

  dismiss(id: number) {
    if (id < 0) this.refused = this.refused.filter((notice) => notice.id !== id);
    else this.send({ type: 'dismiss-notice', id });
  }

  /** The shell's answer is a sentence for the person; anything else is a fault of the way to it. */
  private refuse(reason: unknown) {
    const text = typeof reason === 'string' && reason !== '' ? reason : t('notices.not-done');
    this.said = { text, urgent: true };
    // Pressed once more, the same does not stand there twice.
    if (this.refused.some((notice) => notice.sentence.text === text)) return;
    const id = Math.min(0, ...this.refused.map((notice) => notice.id)) - 1;
    this.refused = [...this.refused, { id, tone: 'warning', sentence: { key: 'refused', params: {}, text } }];
  }
}

const key = Symbol('face');

export function provideFace(face: Face) {
  setContext(key, face);
}

export function useFace(): Face {
  return getContext<Face>(key);
}

/** Sends the opposite of what is, or leaves it alone when no call runs. */
export function toggleMicrophone(face: Face, call: Call) {
  face.send({ type: 'set-microphone', on: !call.local.microphone });
}

export function toggleCamera(face: Face, call: Call) {
  face.send({ type: 'set-camera', on: !call.local.camera });
}

/** Keeps `data-theme` on the document as the person, or their system, has it. */
export function followTheme(theme: () => Theme) {
  const system = matchMedia('(prefers-color-scheme: light)');
  let light = $state(system.matches);
  $effect(() => {
    const changed = () => (light = system.matches);
    system.addEventListener('change', changed);
    return () => system.removeEventListener('change', changed);
  });
  $effect(() => {
    const chosen = theme();
    document.documentElement.dataset['theme'] = chosen === 'system' ? (light ? 'light' : 'dark') : chosen;
  });
}

/** The time, told anew every `every` ms while someone looks at it. */
export class Ticker {
  now = $state(Date.now());

  constructor(every: number) {
    $effect(() => {
      const timer = setInterval(() => (this.now = Date.now()), every);
      return () => clearInterval(timer);
    });
  }
}
