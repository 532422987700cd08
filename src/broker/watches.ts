/**
 * Who watches which keys: for each prefix the connections, and the stream each of them is told on. An event costs one
 * look-up for each distinct length of the prefixes, and one encoding a codec, however many watch. Knows nothing of values.
 */
import type { Engine } from "../engine/engine.ts";
import type { Codec } from "../protocol/codec.ts";
import { EphemeralError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import type { KeyEvent, KeyPush, Overflow } from "../protocol/pushes.ts";
import type { Connection } from "./connections/connection.ts";
import type { PushFrame, PushStream } from "./connections/push-stream.ts";

type Watcher = Pick<Connection, "codec" | "openStream" | "push">;

export class Watches {
  readonly #engine: Engine;
  readonly #limits: Limits;
  readonly #byPrefix = new Map<string, Map<Watcher, PushStream>>();
  readonly #prefixesOf = new Map<Watcher, Set<string>>();
  /** How long the prefixes are, longest first, each length once. */
  #lengths: readonly number[] = [];

  constructor(options: { readonly engine: Engine; readonly limits: Limits }) {
    this.#engine = options.engine;
    this.#limits = options.limits;
  }

  /** Prefixes watched, those of each watcher counted apart. */
  get size(): number {
    let watches = 0;
    for (const prefixes of this.#prefixesOf.values()) watches += prefixes.size;
    return watches;
  }

  /** Tells `watcher` from now on what becomes of keys that begin with `prefix`. Of one that is watched already the overflow
   *  changes.
   *  @throws {EphemeralError} `too_many_names` past `watchesPerSessionMax` */
  watch(watcher: Watcher, { prefix, overflow }: { readonly prefix: string; readonly overflow: Overflow }): void {
    const present = this.#byPrefix.get(prefix)?.get(watcher);
    if (present !== undefined) {
      present.overflow = overflow;
      return;
    }
    const prefixes = this.#prefixesOf.get(watcher) ?? new Set();
    this.#requireRoom(prefix, prefixes.size);
    const stream = watcher.openStream({ overflow, gap: ({ dropped }) => ({ push: "gap", prefix, dropped }) });
    this.#prefixesOf.set(watcher, prefixes.add(prefix));
    const watchers = this.#byPrefix.get(prefix);
    if (watchers === undefined) this.#addPrefix(prefix, new Map([[watcher, stream]]));
    else watchers.set(watcher, stream);
  }

  /** False when `watcher` did not watch `prefix`. What it was not told of yet and never will be, it is told as a gap: another
   *  of its watches may have counted on it. */
  unwatch(watcher: Watcher, prefix: string): boolean {
    const stream = this.#byPrefix.get(prefix)?.get(watcher);
    if (stream === undefined) return false;
    const dropped = stream.end();
    if (dropped > 0) watcher.push({ push: "gap", prefix, dropped });
    this.#remove(watcher, prefix);
    return true;
  }

  /** The connection is gone, and its watches with it. */
  end(watcher: Watcher): void {
    for (const prefix of this.#prefixesOf.get(watcher) ?? []) this.#remove(watcher, prefix);
  }

  readonly #tell = (event: KeyEvent): void => {
    const frames = new Map<Codec, PushFrame>();
    const told = new Set<Watcher>();
    for (const length of this.#lengths) {
      if (length > event.key.length) continue;
      for (const [watcher, stream] of this.#byPrefix.get(event.key.slice(0, length)) ?? []) {
        if (told.has(watcher)) continue;
        told.add(watcher);
        stream.push(frameOf(event, { codec: watcher.codec, frames }));
      }
    }
  };

  #addPrefix(prefix: string, watchers: Map<Watcher, PushStream>): void {
    this.#byPrefix.set(prefix, watchers);
    this.#measure();
    if (this.#byPrefix.size === 1) this.#engine.observe(this.#tell);
  }

  #remove(watcher: Watcher, prefix: string): void {
    const prefixes = this.#prefixesOf.get(watcher);
    if (prefixes?.delete(prefix) && prefixes.size === 0) this.#prefixesOf.delete(watcher);
    const watchers = this.#byPrefix.get(prefix);
    watchers?.delete(watcher);
    if (watchers?.size !== 0) return;
    this.#byPrefix.delete(prefix);
    this.#measure();
    if (this.#byPrefix.size === 0) this.#engine.observe(undefined);
  }

  #measure(): void {
    const lengths = new Set(this.#byPrefix.keys().map((prefix) => prefix.length));
    this.#lengths = [...lengths].sort((a, b) => b - a);
  }

  #requireRoom(prefix: string, watched: number): void {
    const { watchesPerSessionMax } = this.#limits;
    if (watched < watchesPerSessionMax) return;
    const actual = `this session watches ${watched} prefixes, limit is ${watchesPerSessionMax}`;
    throw new EphemeralError("too_many_names", `Cannot watch prefix ${JSON.stringify(prefix)}: ${actual}`);
  }
}

/** The event as a push in `codec`, encoded when the first needs it. */
function frameOf(event: KeyEvent, { codec, frames }: { codec: Codec; frames: Map<Codec, PushFrame> }): PushFrame {
  const known = frames.get(codec);
  if (known !== undefined) return known;
  const push: KeyPush = { push: "key", ...event };
  const frame = { frame: codec.encode(push), key: event.key, from: 1, to: 0 };
  frames.set(codec, frame);
  return frame;
}
