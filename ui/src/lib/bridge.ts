import type { Command, Desktop, DesktopWish, Levels, QualityPoint, ShareSources, Snapshot } from './types';
import type { Picture } from './picture';

/** Which pictures: a camera's or a screen's, the other side's or this computer's own. */
export type PictureSource = 'remote' | 'local' | 'remote-screen' | 'local-screen';

/** What a pasted or scanned link turned out to be. */
export type LinkCheck =
  | { type: 'card'; id: string; name: string; servers: string[] }
  | { type: 'refused'; text: string };

/**
 * The one way between the window and the engine. The window keeps no truth of its own about the call: it draws the
 * newest snapshot and sends wishes.
 */
export interface Bridge {
  /**
   * Asks for snapshots and the desktop's state (the present ones at once, then each change) and sound levels.
   * Rejects with a sentence for the person when the engine could not start.
   */
  subscribe(
    onSnapshot: (snapshot: Snapshot) => void,
    onLevels: (levels: Levels) => void,
    onDesktop: (desktop: Desktop) => void,
  ): Promise<void>;

  /** Sends a wish. What comes of it shows in the next snapshot. */
  command(command: Command): Promise<void>;

  /** Sends a wish about the desktop. What comes of it shows in its next state. */
  desktop(wish: DesktopWish): Promise<void>;

  /** Asks for what could be shared, once a window; filled while `list-share-sources` is on. */
  shareSources(onSources: (sources: ShareSources) => void): Promise<void>;

  /** The call's figures, one point a second, that are newer than this Unix time in ms; oldest first, at most ten minutes. */
  qualityAfter(atMs: number): Promise<QualityPoint[]>;

  /** Reads a contact link without adding it. */
  checkLink(link: string): Promise<LinkCheck>;

  /**
   * Asks for pictures until the returned function is called. Each picture must be reported as shown by calling
   * `shown`, or no more come: so a window that cannot keep up, or is hidden, never builds a queue.
   */
  pictures(which: PictureSource, onPicture: (picture: Picture, shown: () => void) => void): () => void;
}
