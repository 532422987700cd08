/**
 * Chance for tests, from one seed that is printed when a test asks for it and can be given back in EPHEMERAL_TEST_SEED.
 * The same seed yields the same numbers in the same order.
 */

const given = Number(process.env.EPHEMERAL_TEST_SEED);

/** This run's seed. */
export const testSeed: number =
  Number.isSafeInteger(given) && given > 0 ? given : 1 + Math.floor(Math.random() * 0x7fffffff);

/** Says the seed once for the tests of `what`, so that a failure can be run again. */
export function announceSeed(what: string): void {
  console.log(`${what}: EPHEMERAL_TEST_SEED=${testSeed}`);
}

export class Random {
  #state: number;

  constructor(seed: number = testSeed) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to, never reaching, `end`. */
  integer(end: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end) >>> 0;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.integer(256));
  }

  pick<T>(from: readonly T[]): T {
    const picked = from[this.integer(from.length)];
    if (picked === undefined) throw new Error("there is nothing to pick from");
    return picked;
  }
}
