/**
 * What a rate limit has granted within its window, oldest first: a ring of instants and costs in two flat arrays that grow
 * to what is really in the window. What is granted within one millisecond is one entry. Knows nothing of who asks.
 */

const capacityMin = 8;

export class SlidingLog {
  readonly windowMs: number;
  #instants = new Float64Array(capacityMin);
  #costs = new Uint16Array(capacityMin);
  #first = 0;
  #size = 0;
  #used = 0;

  constructor(windowMs: number) {
    this.windowMs = windowMs;
  }

  /** Entries in the window. */
  get size(): number {
    return this.#size;
  }
  /** The sum of their costs. */
  get used(): number {
    return this.#used;
  }

  /** When all of it is over; −Infinity when there is nothing. */
  get endsAtMs(): number {
    return this.#size === 0 ? Number.NEGATIVE_INFINITY : this.#instantAt(this.#size - 1) + this.windowMs;
  }

  /** Forgets what is `windowMs` old or older at `nowMs`. */
  trim(nowMs: number): void {
    while (this.#size > 0 && this.#instantAt(0) + this.windowMs <= nowMs) {
      this.#used -= this.#costs[this.#first] ?? 0;
      this.#first = (this.#first + 1) % this.#instants.length;
      this.#size -= 1;
    }
    if (this.#size === 0 && this.#instants.length > capacityMin) this.#resize(capacityMin);
  }

  add(atMs: number, cost: number): void {
    this.#used += cost;
    if (this.#size > 0 && this.#instantAt(this.#size - 1) === atMs) {
      const last = this.#place(this.#size - 1);
      this.#costs[last] = (this.#costs[last] ?? 0) + cost;
      return;
    }
    if (this.#size === this.#instants.length) this.#resize(2 * this.#size);
    const next = this.#place(this.#size);
    this.#instants[next] = atMs;
    this.#costs[next] = cost;
    this.#size += 1;
  }

  /** When so much of what is used now has left the window; `endsAtMs` at the latest. */
  freedAtMs(amount: number): number {
    let freed = 0;
    for (let index = 0; index < this.#size; index++) {
      freed += this.#costs[this.#place(index)] ?? 0;
      if (freed >= amount) return this.#instantAt(index) + this.windowMs;
    }
    return this.endsAtMs;
  }

  #place(index: number): number {
    return (this.#first + index) % this.#instants.length;
  }

  #instantAt(index: number): number {
    return this.#instants[this.#place(index)] ?? 0;
  }

  #resize(capacity: number): void {
    const instants = new Float64Array(capacity);
    const costs = new Uint16Array(capacity);
    for (let index = 0; index < this.#size; index++) {
      instants[index] = this.#instantAt(index);
      costs[index] = this.#costs[this.#place(index)] ?? 0;
    }
    this.#instants = instants;
    this.#costs = costs;
    this.#first = 0;
  }
}
