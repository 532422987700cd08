/**
 * Watched keys, as the client's callers see them: who listens to which prefix, what is told to whom, and the watches asked for
 * anew on each new connection. Loaded with the first watch. Knows nothing of frames.
 */
import type { EphemeralError } from "../protocol/errors.ts";
import type { KeyEvent, Overflow } from "../protocol/pushes.ts";
import type { Connection } from "./connection.ts";
import type { PushListener } from "./push-listeners.ts";

export type WatchEvent =
  | KeyEvent
  /** Events are missing here: so many, or nobody knows how many, as the connection was lost and is back. */
  | { readonly event: "gap"; readonly dropped: number | undefined }
  /** The watch is over, as there is no broker any more, or it refuses us. */
  | { readonly event: "lost"; readonly error: EphemeralError };

export interface WatchOptions {
  /** What becomes of events while we are too slow to read them. `close`, the default: the connection is lost and made anew,
   *  with everything that ends with it. `gap`: they are dropped. `latest`: of each key the newest is kept. After all of them
   *  a `gap` tells. Watches of the same prefix share the overflow that was asked for last. */
  readonly overflow?: Overflow | undefined;
  /** Whether the watch lets the process end. */
  readonly unref?: boolean | undefined;
}

export interface Watch {
  readonly prefix: string;
  /** Nothing is told any more, from this call on. Resolves once the broker knows. Idempotent. */
  stop(): Promise<void>;
}

export interface Watching {
  /** Tells `listener` what becomes of keys that begin with `prefix`, from when it resolves until `stop()`: each `set`, `del` and
   *  `expired`, in the order of the broker. Survives a lost connection; the listener then gets a `gap`, as it does when it
   *  was too slow. When no broker comes back it gets `lost`, and the watch is over. Keeps the process alive, unless told to
   *  `unref`.
   *  @throws {EphemeralError} `too_many_names` past 64 prefixes */
  watch(prefix: string, listener: (event: WatchEvent) => void, options?: WatchOptions): Promise<Watch>;
}

interface Listening extends WatchOptions {
  readonly prefix: string;
  readonly listener: (event: WatchEvent) => void;
}

/** One watch. `isOpen` while the broker tells the connection that is there about it. */
interface Entry {
  readonly listening: Listening;
  readonly letGo: (() => void) | undefined;
  isOpen: boolean;
}

/** @internal */
export class Watches implements Watching, PushListener {
  readonly #connection: Connection;
  readonly #entries = new Set<Entry>();

  constructor(connection: Connection) {
    this.#connection = connection;
    connection.pushListeners.add(this);
  }

  async watch(prefix: string, listener: (event: WatchEvent) => void, options?: WatchOptions): Promise<Watch> {
    const listening: Listening = { prefix, listener, ...options };
    const letGo = listening.unref ? undefined : this.#connection.hold();
    const entry: Entry = { listening, letGo, isOpen: false };
    this.#entries.add(entry);
    try {
      await this.#open(entry, () => {});
    } catch (error) {
      this.#forget(entry);
      throw error;
    }
    return { prefix, stop: () => this.#stop(entry) };
  }

  push(push: Readonly<Record<string, unknown>>): void {
    // Both sides take the shapes from `pushes.ts`, and the peer is the broker that owns our socket.
    if (push.push === "key") this.#tellKey(push as unknown as KeyEvent);
    else if (push.push === "gap") this.#tellGap(push as { readonly prefix: string; readonly dropped: number });
  }

  /** The connection is gone: what it watched is asked for again, on the next. */
  cut(): void {
    for (const entry of [...this.#entries]) {
      // One that is being asked for is asked for again by the connection itself.
      if (!entry.isOpen) continue;
      entry.isOpen = false;
      this.#open(entry, () => tell(entry, { event: "gap", dropped: undefined })).catch((error: EphemeralError) => {
        // Closed by the caller himself, it says nothing.
        if (this.#forget(entry) && error.code !== "cancelled") tell(entry, { event: "lost", error });
      });
    }
  }

  /** Calls `opened` when the broker has begun to tell, before anything it tells. */
  #open(entry: Entry, opened: () => void): Promise<void> {
    const { prefix, overflow } = entry.listening;
    const read = (): void => {
      if (!this.#entries.has(entry)) {
        void this.#close(prefix);
        return;
      }
      entry.isOpen = true;
      opened();
    };
    return this.#connection.call({ command: { action: "watch", prefix, overflow }, read });
  }

  #stop(entry: Entry): Promise<void> {
    const { isOpen } = entry;
    if (!this.#forget(entry) || !isOpen) return Promise.resolve();
    return this.#close(entry.listening.prefix);
  }

  /** Tells the broker, unless somebody else still listens. Where it cannot be told, there is nothing to tell. */
  async #close(prefix: string): Promise<void> {
    for (const { listening } of this.#entries) if (listening.prefix === prefix) return;
    await this.#connection.call({ command: { action: "unwatch", prefix }, read: () => undefined }).catch(() => {});
  }

  #forget(entry: Entry): boolean {
    if (!this.#entries.delete(entry)) return false;
    entry.isOpen = false;
    entry.letGo?.();
    return true;
  }

  #tellKey({ key, event, version }: KeyEvent): void {
    for (const entry of [...this.#entries]) {
      if (key.startsWith(entry.listening.prefix)) tellOpen(entry, { key, event, version });
    }
  }

  /** What is missing under a prefix may have been meant for every watch that overlaps: the broker tells each event once. */
  #tellGap({ prefix, dropped }: { readonly prefix: string; readonly dropped: number }): void {
    for (const entry of [...this.#entries]) {
      const own = entry.listening.prefix;
      if (own.startsWith(prefix) || prefix.startsWith(own)) tellOpen(entry, { event: "gap", dropped });
    }
  }
}

function tellOpen(entry: Entry, event: WatchEvent): void {
  if (entry.isOpen) tell(entry, event);
}

/** What a listener throws is its own: it ends no connection, and is not lost either. */
function tell({ listening }: Entry, event: WatchEvent): void {
  try {
    listening.listener(event);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
