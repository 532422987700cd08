/**
 * A client of the web door at the end of a network that takes what the test says, by a clock that is the test's, too. The
 * client and the outbox are the real ones; the runtime's socket and the connection are not.
 */
import { codecs } from "../../src/broker/connections/codecs.ts";
import type { Connection } from "../../src/broker/connections/connection.ts";
import { Outbox } from "../../src/broker/connections/outbox.ts";
import { openGate } from "../../src/broker/gates/gate.ts";
import { FailedAddresses } from "../../src/broker/web/failed-addresses.ts";
import { LastText } from "../../src/broker/web/last-text.ts";
import { Watchman } from "../../src/broker/web/watchman.ts";
import { WebClient, type WebSocketOf } from "../../src/broker/web/web-client.ts";
import { MapDecoder } from "../../src/msgpack/map-decoder.ts";
import { defaultLimits } from "../../src/protocol/limits.ts";
import { ManualClock } from "./manual-clock.ts";

export class SlowPeer {
  readonly clock = new ManualClock(0);
  readonly outbox: Outbox;
  cutAtMs: number | undefined;
  pongs = 0;
  readonly #answers: boolean;
  readonly #client: WebClient;
  #unsent: { bytes: number; readonly isPing: boolean }[] = [];

  constructor({ answers }: { readonly answers: boolean }) {
    const { clock } = this;
    const watchman = new Watchman({ clock, limits: defaultLimits });
    const failed = new FailedAddresses({ clock, failuresMax: 1 });
    const parts = { watchman, failed, lastText: new LastText(), frameBytesMax: defaultLimits.frameBytesMax };
    const wire = { codec: codecs.msgpack, decoder: new MapDecoder(1000) };
    this.#answers = answers;
    this.#client = new WebClient(parts, { wire, gate: openGate, address: "a" });
    this.outbox = new Outbox(this.#client);
    // Casts: the little of the runtime's socket and of a connection that a client uses while it is open.
    this.#client.opened(this.#socket as unknown as WebSocketOf, () => this.#connection as unknown as Connection);
    this.#client.greeted();
  }

  get #socket(): object {
    return {
      getBufferedAmount: () => this.#unsentBytes,
      sendBinary: (data: Uint8Array) => {
        this.#unsent.push({ bytes: data.length + 10, isPing: data.length < 100 });
        return -1;
      },
    };
  }

  get #connection(): object {
    const { outbox } = this;
    return {
      get tally() {
        return { sentBytes: outbox.sentBytes };
      },
      drained: () => outbox.flush(),
      cut: () => {
        this.cutAtMs = this.clock.nowMs();
      },
    };
  }

  get #unsentBytes(): number {
    return this.#unsent.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** The network has room for so much. */
  take(bytesMax: number): void {
    let left = bytesMax;
    while (left > 0 && this.#unsent.length > 0) {
      const [first] = this.#unsent;
      if (first === undefined) break;
      const taken = Math.min(left, first.bytes);
      first.bytes -= taken;
      left -= taken;
      if (first.bytes > 0) break;
      this.#unsent.shift();
      if (first.isPing && this.#answers) {
        this.pongs++;
        this.#client.answered();
      }
    }
    if (left < bytesMax) this.#client.drained();
  }
}
