import { Channel, invoke } from '@tauri-apps/api/core';
import type { Bridge, LinkCheck, PictureSource } from './bridge';
import { decodePicture, type Picture } from './picture';
import type { Command, Desktop, DesktopWish, Levels, QualityPoint, ShareSources, Snapshot } from './types';

/** A screen that stands still sends one picture: should it come just before somebody looks, it is kept so long. */
const KEPT_MS = 3000;

type Listener = (picture: Picture, shown: () => void) => void;

/** One stream of pictures from the shell, shared by every canvas that shows it. */
class Stream {
  private listeners = new Set<Listener>();
  /** Messages not reported as shown yet: nobody listened, or they wait for their turn on screen. */
  private owed = 0;
  private opened = false;
  private kept: { picture: Picture; at: number } | null = null;

  constructor(private which: PictureSource) {}

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    const kept = this.kept;
    this.kept = null;
    if (!this.opened) this.open();
    else if (kept !== null && performance.now() - kept.at < KEPT_MS) listener(kept.picture, () => this.settle());
    else this.settle();
    return () => this.listeners.delete(listener);
  }

  private open() {
    this.opened = true;
    const channel = new Channel<ArrayBuffer>();
    channel.onmessage = (message) => this.receive(message);
    invoke('pictures', { which: this.which, channel }).catch(() => {
      this.opened = false;
    });
  }

  private receive(message: ArrayBuffer) {
    this.owed += 1;
    const picture = decodePicture(message);
    if (picture === null) {
      this.settle();
      return;
    }
    this.kept = this.listeners.size === 0 && this.which === 'remote-screen' ? { picture, at: performance.now() } : null;
    for (const listener of this.listeners) listener(picture, () => this.settle());
  }

  /** Everything that came has been shown, or overtaken by what was: let the shell go on. */
  private settle() {
    if (this.owed === 0) return;
    const count = this.owed;
    this.owed = 0;
    void invoke('picture_shown', { which: this.which, count });
  }
}

/** The bridge to the desktop shell. */
export function tauriBridge(): Bridge {
  const streams = { remote: new Stream('remote'), local: new Stream('local'), 'remote-screen': new Stream('remote-screen'), 'local-screen': new Stream('local-screen') };
  return {
    async subscribe(onSnapshot, onLevels, onDesktop) {
      const snapshots = new Channel<Snapshot>(onSnapshot);
      const levels = new Channel<Levels>(onLevels);
      const desktop = new Channel<Desktop>(onDesktop);
      await invoke('subscribe', { snapshots, levels, desktop });
    },
    async command(command: Command) {
      await invoke('command', { command });
    },
    async desktop(wish: DesktopWish) {
      await invoke('desktop', { wish });
    },
    async shareSources(onSources) {
      await invoke('share_sources', { sources: new Channel<ShareSources>(onSources) });
    },
    async qualityAfter(atMs: number) {
      return await invoke<QualityPoint[]>('quality_after', { atMs });
    },
    async checkLink(link: string) {
      return await invoke<LinkCheck>('check_link', { link });
    },
    pictures: (which, onPicture) => streams[which].listen(onPicture),
  };
}
