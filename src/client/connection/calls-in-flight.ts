/**
 * The calls on a link that have no answer yet, by the numbers they were sent under. A ring: names that come and go have a `Map`
 * made anew again and again, which was a quarter of what a command cost its client.
 */
import type { Call } from "./call.ts";

const slotsMin = 64;

export class CallsInFlight {
  /** A power of two of them, half of them free at least. A call is where the low bits of its number say. */
  #slots: (Call | undefined)[] = new Array(slotsMin).fill(undefined);
  #calls = 0;
  /** Numbers without a call: what was said under them has no caller. */
  #unheard = 0;
  #lastId = 0;

  /** What the broker has yet to answer. */
  get size(): number {
    return this.#calls + this.#unheard;
  }

  get lastId(): number {
    return this.#lastId;
  }

  /** Gives `call` the next number, higher than all before; undefined stands for what has no caller. Numbers are passed over
   *  whose place a call has that waits long. */
  add(call: Call | undefined): number {
    if (2 * this.#calls >= this.#slots.length) this.#grow();
    let place: number;
    do place = this.#placeOf(++this.#lastId);
    while (this.#slots[place] !== undefined);
    if (call === undefined) this.#unheard++;
    else {
      call.id = this.#lastId;
      this.#slots[place] = call;
      this.#calls++;
    }
    return this.#lastId;
  }

  /** The call with this number, which is answered now; undefined when nobody waits for it. */
  take(id: number): Call | undefined {
    const place = this.#placeOf(id);
    const call = this.#slots[place];
    if (call?.id === id) {
      this.#slots[place] = undefined;
      this.#calls--;
      return call;
    }
    if (this.#unheard > 0) this.#unheard--;
    return undefined;
  }

  /** In the order sent. */
  inOrder(): Call[] {
    return this.#slots.filter((call) => call !== undefined).sort((one, other) => one.id - other.id);
  }

  #placeOf(id: number): number {
    return id & (this.#slots.length - 1);
  }

  /** Calls that had places of their own have them still: one more bit of their numbers counts. */
  #grow(): void {
    const calls = this.inOrder();
    this.#slots = new Array(2 * this.#slots.length).fill(undefined);
    for (const call of calls) this.#slots[this.#placeOf(call.id)] = call;
  }
}
