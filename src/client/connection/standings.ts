/**
 * What is to stand on a client's connection until it is stopped: said to each new one again, for as long as there are any.
 * Knows nothing of what it is.
 */
import type { EphemeralError } from "../../protocol/errors.ts";
import type { StandingOptions } from "../requests/requests.ts";
import type { Outgoing } from "./call.ts";
import type { Connection } from "./connection.ts";

export interface Standing extends StandingOptions {
  readonly opening: Outgoing<"serve" | "ping" | "watch">;
  /** Told that the broker knows of it now: `isAgain` when it did before the connection was cut. */
  readonly opened?: (isAgain: boolean) => void;
  /** Told once that it stands no more, for whatever reason. */
  readonly ended?: () => void;
  /** Whether the broker at the other end of the present connection knows of it. */
  isOpen: boolean;
}

export class Standings<Kind extends Standing> {
  readonly #connection: Connection;
  /** What each lets go of when it ends. */
  readonly #all = new Map<Kind, (() => void) | undefined>();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  get all(): readonly Kind[] {
    return [...this.#all.keys()];
  }

  /** Says its opening now and to each new connection, until it ends.
   *  @throws {EphemeralError} what the broker answers to the first */
  async start(standing: Kind): Promise<void> {
    this.#all.set(standing, standing.unref ? undefined : this.#connection.hold());
    try {
      await this.#open(standing, false);
    } catch (error) {
      this.end(standing);
      throw error;
    }
  }

  /** The connection is gone. One that is being said is said again by the connection itself. */
  cut(): void {
    for (const standing of this.all) {
      if (!standing.isOpen) continue;
      standing.isOpen = false;
      this.#open(standing, true).catch((error: EphemeralError) => {
        // Closed by the caller himself, it says nothing.
        if (this.end(standing) && error.code !== "cancelled") standing.onLost?.(error);
      });
    }
  }

  /** Returns whether it stood until now. */
  end(standing: Kind): boolean {
    const letGo = this.#all.get(standing);
    if (!this.#all.delete(standing)) return false;
    standing.isOpen = false;
    letGo?.();
    standing.ended?.();
    return true;
  }

  #open(standing: Kind, isAgain: boolean): Promise<void> {
    const read = (): void => {
      standing.isOpen = this.#all.has(standing);
      standing.opened?.(isAgain);
    };
    return this.#connection.call({ command: standing.opening, read });
  }
}
