import type { Bridge, LinkCheck, PictureSource } from '../lib/bridge';
import { decodePicture } from '../lib/picture';
import type { Command, Levels, QualityPoint, Snapshot } from '../lib/types';
import { paint } from './pattern';

/** A bridge without an engine: snapshots come from a script, wishes are noted. */
export class DevBridge implements Bridge {
  readonly sent: Command[] = [];
  /** What the next reading of a link answers. */
  check: LinkCheck = { type: 'card', id: 'new', name: 'Didem', servers: ['wss://rendezvous.example'] };
  private onSnapshot: (snapshot: Snapshot) => void = () => {};
  private onLevels: (levels: Levels) => void = () => {};

  constructor(
    private snapshot: Snapshot,
    private options: { failure?: string; pictures?: boolean; level?: number; past?: QualityPoint[] } = {},
  ) {}

  async subscribe(onSnapshot: (snapshot: Snapshot) => void, onLevels: (levels: Levels) => void) {
    if (this.options.failure !== undefined) throw new Error(this.options.failure);
    this.onSnapshot = onSnapshot;
    this.onLevels = onLevels;
    onSnapshot(this.snapshot);
    onLevels({ microphone: this.options.level ?? 0, remote: 0 });
  }

  async command(command: Command) {
    this.sent.push(command);
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

  hear(levels: Levels) {
    this.onLevels(levels);
  }
}
