/**
 * Watched keys, as the client's callers see them: who listens to which prefix, what is told to whom, and the watches asked for
 * anew on each new connection. Loaded with the first watch. Knows nothing of frames.
 */
import type { EphemeralError } from "../protocol/errors.ts";
import type { KeyEvent, Overflow } from "../protocol/pushes.ts";
import type { Connection } from "./connection/connection.ts";
import type { PushListener } from "./connection/push-listeners.ts";
import { type Standing, Standings } from "./connection/standings.ts";

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

/** One watch. */
interface Entry extends Standing {
  readonly prefix: string;
  readonly listener: (event: WatchEvent) => void;
}

/** @internal */
export class Watches implements Watching, PushListener {
  readonly #connection: Connection;
  readonly #standings: Standings<Entry>;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#standings = new Standings(connection);
    connection.pushListeners.add(this);
  }

  async watch(prefix: string, listener: (event: WatchEvent) => void, options: WatchOptions = {}): Promise<Watch> {
    const { overflow, unref } = options;
    const entry: Entry = {
      prefix,
      listener,
      unref,
      opening: { action: "watch", prefix, overflow },
      opened: (isAgain) => {
        if (!entry.isOpen) void this.#close(prefix);
        // Before anything else is told.
        else if (isAgain) tell(entry, { event: "gap", dropped: undefined });
      },
      // Calls fail with nothing else.
      onLost: (error) => tell(entry, { event: "lost", error: error as EphemeralError }),
      isOpen: false,
    };
    await this.#standings.start(entry);
    return { prefix, stop: () => this.#stop(entry) };
  }

  push(push: Readonly<Record<string, unknown>>): void {
    // Both sides take the shapes from `pushes.ts`, and the peer is the broker that owns our socket.
    if (push.push === "key") this.#tellKey(push as unknown as KeyEvent);
    else if (push.push === "gap") this.#tellGap(push as { readonly prefix: string; readonly dropped: number });
  }

  /** The connection is gone: what it watched is asked for again, on the next. */
  cut(): void {
    this.#standings.cut();
  }

  async #stop(entry: Entry): Promise<void> {
    const { isOpen, prefix } = entry;
    if (this.#standings.end(entry) && isOpen) await this.#close(prefix);
  }

  /** Tells the broker, unless somebody else still listens. Where it cannot be told, there is nothing to tell. */
  async #close(prefix: string): Promise<void> {
    if (this.#standings.all.some((entry) => entry.prefix === prefix)) return;
    await this.#connection.call({ command: { action: "unwatch", prefix } }).catch(() => {});
  }

  #tellKey({ key, event, version }: KeyEvent): void {
    this.#tellOpen({ key, event, version }, (prefix) => key.startsWith(prefix));
  }

  /** What is missing under a prefix may have been meant for every watch that overlaps: the broker tells each event once. */
  #tellGap({ prefix, dropped }: { readonly prefix: string; readonly dropped: number }): void {
    this.#tellOpen({ event: "gap", dropped }, (own) => own.startsWith(prefix) || prefix.startsWith(own));
  }

  #tellOpen(event: WatchEvent, isMeant: (prefix: string) => boolean): void {
    // Whoever is told may stop others.
    for (const entry of this.#standings.all) if (entry.isOpen && isMeant(entry.prefix)) tell(entry, event);
  }
}

/** What a listener throws is its own: it ends no connection, and is not lost either. */
function tell({ listener }: Entry, event: WatchEvent): void {
  try {
    listener(event);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
