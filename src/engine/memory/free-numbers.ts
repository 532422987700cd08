/**
 * Numbers from 0 up, the lowest free one first: a counter for those never used, and a binary heap of those given back.
 * Knows nothing of who uses them or how many there may be.
 */
export class FreeNumbers {
  readonly #returned: number[] = [];
  #unused = 0;

  /** Takes the lowest free number. O(log n). */
  take(): number {
    const lowest = this.#returned[0];
    const last = this.#returned.pop();
    if (lowest === undefined || last === undefined) return this.#unused++;
    if (this.#returned.length > 0) this.#sinkFromTop(last);
    return lowest;
  }

  /** Gives back a number that was taken. O(log n). */
  give(number: number): void {
    let index = this.#returned.length;
    for (;;) {
      const parentIndex = (index - 1) >> 1;
      const parent = this.#returned[parentIndex];
      if (index === 0 || parent === undefined || parent <= number) break;
      this.#returned[index] = parent;
      index = parentIndex;
    }
    this.#returned[index] = number;
  }

  #sinkFromTop(number: number): void {
    let index = 0;
    for (;;) {
      const childIndex = this.#lowerChildOf(index);
      const child = this.#returned[childIndex];
      if (child === undefined || child >= number) break;
      this.#returned[index] = child;
      index = childIndex;
    }
    this.#returned[index] = number;
  }

  #lowerChildOf(index: number): number {
    const leftIndex = 2 * index + 1;
    const left = this.#returned[leftIndex];
    const right = this.#returned[leftIndex + 1];
    return left !== undefined && right !== undefined && right < left ? leftIndex + 1 : leftIndex;
  }
}
