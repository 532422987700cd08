/**
 * Has the runtime collect soon after connections that moved much have gone. By itself it collects when memory is asked for,
 * and a broker that has had its crowd asks for none: for half a minute and more it would keep what the crowd left.
 */
import type { Clock } from "../engine/clock.ts";
import { MiB } from "../protocol/sizes.ts";
import type { Tally } from "./tally.ts";

/** What makes a collection worth its while: bytes received and sent, and connections, of those that have gone. */
const bytesMin = 4 * MiB;
const connectionsMin = 500;
/** By then what goes at the same time has gone, and under a stream of them the cost is small. */
const delayMs = 1000;

export class Collector {
  readonly #clock: Clock;
  readonly #collect: () => void;
  #bytes = 0;
  #connections = 0;
  #isDue = false;

  /** @param collect asks the runtime, and does not wait for it */
  constructor({ clock, collect }: { readonly clock: Clock; readonly collect: () => void }) {
    this.#clock = clock;
    this.#collect = collect;
  }

  /** A connection that moved so much has gone. */
  connectionClosed({ receivedBytes, sentBytes }: Tally): void {
    this.#bytes += receivedBytes + sentBytes;
    this.#connections++;
    if (this.#isDue || (this.#bytes < bytesMin && this.#connections < connectionsMin)) return;
    this.#isDue = true;
    this.#clock.schedule(this.#clock.nowMs() + delayMs, this.#due);
  }

  readonly #due = (): void => {
    this.#isDue = false;
    this.#bytes = 0;
    this.#connections = 0;
    this.#collect();
  };
}
