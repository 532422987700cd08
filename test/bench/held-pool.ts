/**
 * Seats all of which are taken, and a line for them that never becomes shorter: whoever gets a seat is followed by one more
 * who waits. Its connections are as many as the line needs, whose places are bounded by session. Measures nothing.
 */
import { Client, type Grant } from "../../src/client/client.ts";

/** A session may have 256 commands waiting. */
const waitersPerClient = 200;

export interface HeldPoolOptions {
  readonly address: string;
  readonly name: string;
  readonly seats: number;
  readonly waiters: number;
}

export class HeldPool implements Disposable {
  readonly #options: HeldPoolOptions;
  readonly #clients: readonly Client[];
  readonly #held: Grant[] = [];
  /** Told of the next grant. */
  #granted: (grant: Grant) => void = () => {};
  #askedCount = 0;
  #handedOverCount = 0;

  private constructor(options: HeldPoolOptions) {
    this.#options = options;
    // Two at least: a seat goes from one session to another.
    const count = Math.max(2, options.waiters / waitersPerClient);
    this.#clients = Array.from({ length: count }, () => new Client(options.address));
  }

  static async open(options: HeldPoolOptions): Promise<HeldPool> {
    const pool = new HeldPool(options);
    for (let seat = 0; seat < options.seats; seat++) pool.#held.push(await pool.#ask());
    for (let waiter = 0; waiter < options.waiters; waiter++) pool.#wait();
    await Promise.all(pool.#clients.map((client) => client.ping()));
    return pool;
  }

  /** Hands over one seat after another, each from who has it to whoever is first in line. */
  async handOver(count: number): Promise<void> {
    for (const end = this.#handedOverCount + count; this.#handedOverCount < end; this.#handedOverCount++) {
      const seat = this.#handedOverCount % this.#held.length;
      const { promise, resolve } = Promise.withResolvers<Grant>();
      this.#granted = resolve;
      await this.#held[seat]?.release();
      this.#held[seat] = await promise;
      this.#wait();
    }
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client.close();
  }

  #wait(): void {
    // At the end of the measure it fails with its client.
    this.#ask().then(
      (grant) => this.#granted(grant),
      () => {},
    );
  }

  /** Each time for another client. */
  #ask(): Promise<Grant> {
    const client = this.#clients[this.#askedCount++ % this.#clients.length];
    if (client === undefined) throw new Error("a held pool has clients");
    return client.semaphore(this.#options.name, this.#options.seats);
  }
}
