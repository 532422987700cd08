/**
 * A set of slot numbers as bits, so that the lowest of ten thousand is found, and two sets are compared, in a few hundred
 * steps at most. Words are signed 32-bit integers, which the runtime keeps unboxed. Knows nothing of what the slots hold.
 */
const wordBits = 32;

export class SlotSet {
  readonly #words: number[] = [];
  #size = 0;
  /** Words before this one are empty. */
  #firstWord = 0;

  /** Makes it the slots from 0 up to, not including, `end`. */
  fill(end: number): void {
    const whole = Math.floor(end / wordBits);
    this.#words.length = 0;
    for (let word = 0; word < whole; word++) this.#words.push(-1);
    if (end % wordBits > 0) this.#words.push((1 << (end % wordBits)) - 1);
    this.#size = end;
    this.#firstWord = 0;
  }

  get size(): number {
    return this.#size;
  }

  has(slot: number): boolean {
    return ((this.#words[slot >>> 5] ?? 0) & (1 << (slot & 31))) !== 0;
  }

  add(slot: number): void {
    const index = slot >>> 5;
    while (this.#words.length <= index) this.#words.push(0);
    const word = this.#words[index] ?? 0;
    const bit = 1 << (slot & 31);
    if ((word & bit) !== 0) return;
    this.#words[index] = word | bit;
    this.#size += 1;
    if (index < this.#firstWord) this.#firstWord = index;
  }

  delete(slot: number): void {
    const index = slot >>> 5;
    const word = this.#words[index] ?? 0;
    const bit = 1 << (slot & 31);
    if ((word & bit) === 0) return;
    this.#words[index] = word & ~bit;
    this.#size -= 1;
    if (this.#size === 0) this.#firstWord = this.#words.length;
  }

  /** The lowest slot from `from` on that is also in `other`, or −1. */
  next(from: number, other: SlotSet = this): number {
    if (this.#size === 0 || other.#size === 0) return -1;
    this.#skipEmptyWords();
    let index = Math.max(from >>> 5, this.#firstWord);
    // Of the first word only what stands from `from` on.
    let mask = index === from >>> 5 ? -1 << (from & 31) : -1;
    for (const end = Math.min(this.#words.length, other.#words.length); index < end; index++) {
      const common = (this.#words[index] ?? 0) & (other.#words[index] ?? 0) & mask;
      if (common !== 0) return index * wordBits + lowestBit(common);
      mask = -1;
    }
    return -1;
  }

  /** Whether some slot is in this set, in `second` and in `third`. */
  meets(second: SlotSet, third: SlotSet): boolean {
    if (this.#size === 0 || second.#size === 0 || third.#size === 0) return false;
    this.#skipEmptyWords();
    for (let index = this.#firstWord; index < this.#words.length; index++) {
      const common = (this.#words[index] ?? 0) & (second.#words[index] ?? 0) & (third.#words[index] ?? 0);
      if (common !== 0) return true;
    }
    return false;
  }

  #skipEmptyWords(): void {
    while (this.#words[this.#firstWord] === 0) this.#firstWord += 1;
  }
}

function lowestBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}
