/**
 * Has the runtime collect once connections that moved much have gone. By itself it collects when memory is asked for, and a
 * broker that has had its crowd asks for none: for half a minute and more it would keep what the crowd left. Waits until no
 * more of them go, as all stands still meanwhile, for some 30 ms.
 */
import type { Clock } from "../engine/clock.ts";
import { MiB } from "../protocol/sizes.ts";
import type { Tally } from "./connections/tally.ts";

/** What makes a collection worth its while: bytes received and sent, and connections, of those that have gone. */
const bytesMin = 4 * MiB;
const connectionsMin = 500;
/** So long nobody of note must have gone. */
const quietMs = 1000;

export class Collector {
  readonly #clock: Clock;
  readonly #collect: () => void;
  #bytes = 0;
  #connections = 0;
  #lastAtMs = 0;
  #isDue = false;

  constructor({ clock, collect }: { readonly clock: Clock; readonly collect: () => void }) {
    this.#clock = clock;
    this.#collect = collect;
  }

  /** A connection that moved so much has gone. */
  connectionClosed({ receivedBytes, sentBytes }: Tally): void {
    this.#bytes += receivedBytes + sentBytes;
    this.#connections++;
    if (this.#bytes < bytesMin && this.#connections < connectionsMin) return;
    this.#lastAtMs = this.#clock.nowMs();
    if (!this.#isDue) this.#waitForQuiet();
  }

  #waitForQuiet(): void {
    this.#isDue = true;
    this.#clock.schedule(this.#lastAtMs + quietMs, this.#due);
  }

  readonly #due = (): void => {
    if (this.#clock.nowMs() < this.#lastAtMs + quietMs) {
      this.#waitForQuiet();
      return;
    }
    this.#isDue = false;
    this.#bytes = 0;
    this.#connections = 0;
    this.#collect();
  };
}
