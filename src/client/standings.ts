/**
 * What is to stand on a client's connection until it is stopped: said to each new one again, for as long as there are any.
 * Knows nothing of what it is.
 */
import type { EphemeralError } from "../protocol/errors.ts";
import type { Outgoing } from "./call.ts";
import type { Connection } from "./connection.ts";
import type { StandingOptions } from "./requests.ts";

/** `isOpen` while the broker at the other end of the present connection knows of it. */
interface Standing {
  readonly opening: Outgoing<"serve" | "ping">;
  readonly options: StandingOptions;
  readonly letGo: (() => void) | undefined;
  /** Told once that it stands no more, for whatever reason. */
  readonly ended: () => void;
  isOpen: boolean;
}

export class Standings {
  readonly #connection: Connection;
  readonly #all = new Set<Standing>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Says `opening` now and to each new connection, until what this resolves to is called.
   *  @throws {EphemeralError} what the broker answers to the first */
  async start(
    opening: Outgoing<"serve" | "ping">,
    { ended, ...options }: StandingOptions & { readonly ended: () => void },
  ): Promise<() => void> {
    const letGo = options.unref ? undefined : this.#connection.hold();
    const standing: Standing = { opening, options, letGo, ended, isOpen: false };
    this.#all.add(standing);
    try {
      await this.#open(standing);
    } catch (error) {
      this.#end(standing);
      throw error;
    }
    return () => void this.#end(standing);
  }

  /** The connection is gone. */
  cut(): void {
    for (const standing of this.#all) {
      // One that is being said is said again by the connection itself.
      if (!standing.isOpen) continue;
      standing.isOpen = false;
      this.#open(standing).catch((error: EphemeralError) => {
        // Closed by the caller himself, it says nothing.
        if (this.#end(standing) && error.code !== "cancelled") standing.options.onLost?.(error);
      });
    }
  }

  #open(standing: Standing): Promise<void> {
    const read = (): void => {
      standing.isOpen = true;
    };
    return this.#connection.call({ command: standing.opening, read });
  }

  #end(standing: Standing): boolean {
    if (!this.#all.delete(standing)) return false;
    standing.letGo?.();
    standing.ended();
    return true;
  }
}
