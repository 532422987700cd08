/**
 * Shares the broker's one thread among its connections: each works off what it was sent for a moment, then the others have
 * theirs, and what is left waits in line. So nobody's flood keeps anybody else waiting for longer than a few such moments.
 * Knows nothing of what is worked off.
 */

/** How long one connection goes on while few others wait: some hundred commands. */
const turnMs = 1;
/** And while many do. */
const shortTurnMs = 0.1;
const manyWaiting = 4;
/** How long those in line have their turns before what the kernel has brought meanwhile is looked at. */
const roundMs = 5;

export interface TurnsOptions {
  /** Milliseconds since whenever, with their fractions. */
  readonly elapsedMs: () => number;
  /** Calls `work` once the kernel has been asked for news. */
  readonly defer: (work: () => void) => void;
}

export class Turns {
  readonly #options: TurnsOptions;
  /** Whoever waits for a turn, first come first served. */
  readonly #line = new Set<() => void>();
  #endsAtMs = 0;
  #isRoundAsked = false;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** The turn of a connection begins. */
  begin(): void {
    const lengthMs = this.#line.size < manyWaiting ? turnMs : shortTurnMs;
    this.#endsAtMs = this.#options.elapsedMs() + lengthMs;
  }

  /** Whether the turn that was begun last has lasted long enough. */
  get isOver(): boolean {
    return this.#options.elapsedMs() >= this.#endsAtMs;
  }

  /** Calls `goOn` in a turn of its own, behind those who wait already. */
  wait(goOn: () => void): void {
    this.#line.add(goOn);
    this.#askForRound();
  }

  #askForRound(): void {
    if (this.#isRoundAsked) return;
    this.#isRoundAsked = true;
    this.#options.defer(this.#round);
  }

  readonly #round = (): void => {
    const endsAtMs = this.#options.elapsedMs() + roundMs;
    // Who has to wait again joins the end of the line, and has another turn while the round lasts.
    for (const goOn of this.#line) {
      this.#line.delete(goOn);
      this.begin();
      goOn();
      if (this.#options.elapsedMs() >= endsAtMs) break;
    }
    this.#isRoundAsked = false;
    if (this.#line.size > 0) this.#askForRound();
  };
}
