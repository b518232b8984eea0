import type { Bridge, LinkCheck, PictureSource } from '../lib/bridge';
import { decodePicture } from '../lib/picture';
import type { Command, Desktop, DesktopWish, Levels, QualityPoint, ShareSources, Snapshot } from '../lib/types';
import { paint } from './pattern';

/** A computer where nothing is set and nothing happened. */
export const noDesktop: Desktop = {
  link: null,
  tray: true,
  autostart: 'off',
  hotkeyWay: 'ours',
  hotkeys: [
    { action: 'microphone', keys: null, problem: null, wanted: null },
    { action: 'hang-up', keys: null, problem: null, wanted: null },
    { action: 'push-to-talk', keys: null, problem: null, wanted: null },
    { action: 'stop-share', keys: null, problem: null, wanted: null },
  ],
  mini: false,
  update: { type: 'off' },
  crash: null,
  version: '0.1.0',
};

/** A bridge without an engine: snapshots come from a script, wishes are noted. */
export class DevBridge implements Bridge {
  readonly sent: Command[] = [];
  readonly wished: DesktopWish[] = [];
  /** What the next reading of a link answers. */
  check: LinkCheck = { type: 'card', id: 'new', name: 'Didem', servers: ['wss://rendezvous.example'] };
  private onSnapshot: (snapshot: Snapshot) => void = () => {};
  private onLevels: (levels: Levels) => void = () => {};
  private onDesktop: (desktop: Desktop) => void = () => {};
  private desktopNow: Desktop;

  constructor(
    private snapshot: Snapshot,
    private options: { failure?: string; pictures?: boolean; level?: number; past?: QualityPoint[]; desktop?: Partial<Desktop>; sources?: ShareSources } = {},
  ) {
    this.desktopNow = { ...noDesktop, ...options.desktop };
  }

  async subscribe(
    onSnapshot: (snapshot: Snapshot) => void,
    onLevels: (levels: Levels) => void,
    onDesktop: (desktop: Desktop) => void,
  ) {
    if (this.options.failure !== undefined) throw new Error(this.options.failure);
    this.onSnapshot = onSnapshot;
    this.onLevels = onLevels;
    this.onDesktop = onDesktop;
    onSnapshot(this.snapshot);
    onDesktop(this.desktopNow);
    onLevels({ microphone: this.options.level ?? 0, remote: 0 });
  }

  async command(command: Command) {
    this.sent.push(command);
  }

  async desktop(wish: DesktopWish) {
    this.wished.push(wish);
  }

  async shareSources(onSources: (sources: ShareSources) => void) {
    if (this.options.sources !== undefined) onSources(this.options.sources);
  }

  async qualityAfter(atMs: number): Promise<QualityPoint[]> {
    return (this.options.past ?? []).filter((point) => point.atMs > atMs);
  }

  async checkLink(): Promise<LinkCheck> {
    return this.check;
  }

  pictures(which: PictureSource, onPicture: Parameters<Bridge['pictures']>[1]): () => void {
    if (this.options.pictures === false) return () => {};
    let number = 0;
    const next = () => {
      number += 1;
      const picture = decodePicture(paint(which, number));
      if (picture !== null) onPicture(picture, () => {});
    };
    next();
    const timer = setInterval(next, 100);
    return () => clearInterval(timer);
  }

  /** The engine says something new. */
  tell(change: Partial<Snapshot>) {
    this.snapshot = { ...this.snapshot, ...change };
    this.onSnapshot(this.snapshot);
  }

  /** The shell says something new. */
  tellDesktop(change: Partial<Desktop>) {
    this.desktopNow = { ...this.desktopNow, ...change };
    this.onDesktop(this.desktopNow);
  }

  hear(levels: Levels) {
    this.onLevels(levels);
  }
}
