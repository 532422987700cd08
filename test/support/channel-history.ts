/**
 * What the readers and writers of one channel saw, checked as it comes: nobody may miss a message without being told, see one
 * twice, or see two in another order than the others; no publication may be there twice or be answered twice.
 * Knows nothing of clients or brokers.
 */

/** What everybody agrees on: which publication stands at which place. Problems of all readers are gathered here. */
export class ChannelHistory {
  readonly problems: string[] = [];
  #deliveries = 0;
  /** By epoch and offset. */
  readonly #publicationAt = new Map<string, string>();
  readonly #placeOf = new Map<string, string>();
  readonly #answers = new Map<string, "sent" | "acknowledged" | "unknown">();

  get deliveries(): number {
    return this.#deliveries;
  }

  /** Publications whose fate nobody was told. */
  get unknown(): number {
    return [...this.#answers.values()].filter((answer) => answer === "unknown").length;
  }

  get acknowledged(): number {
    return [...this.#answers.values()].filter((answer) => answer === "acknowledged").length;
  }

  sent(publication: string): void {
    this.#answers.set(publication, "sent");
  }

  /** The broker told where `publication` stands. */
  answered(publication: string, place: Place): void {
    this.#settle(publication, "acknowledged");
    this.#agree(publication, { ...place, who: "its writer" });
  }

  failed(publication: string): void {
    this.#settle(publication, "unknown");
  }

  /** @param name for people */
  reader(name: string): ReaderHistory {
    return new ReaderHistory(name, {
      problem: (text) => this.problem(text),
      delivered: (publication, place) => {
        this.#deliveries++;
        this.#agree(publication, { ...place, who: name });
      },
    });
  }

  /** Publications that were never answered at all. */
  close(): void {
    for (const [publication, answer] of this.#answers) {
      if (answer === "sent") this.problem(`${publication} was never answered`);
    }
  }

  problem(text: string): void {
    // The first ones tell; a broken run would fill the memory.
    if (this.problems.length < 20) this.problems.push(text);
  }

  #settle(publication: string, answer: "acknowledged" | "unknown"): void {
    if (this.#answers.get(publication) !== "sent") this.problem(`${publication} was answered twice`);
    this.#answers.set(publication, answer);
  }

  #agree(publication: string, { epoch, offset, who }: Place & { readonly who: string }): void {
    const place = `${epoch}/${offset}`;
    const other = this.#publicationAt.get(place);
    if (other !== undefined && other !== publication)
      this.problem(`${who}: ${place} is ${publication}, for others ${other}`);
    const before = this.#placeOf.get(publication);
    if (before !== undefined && before !== place)
      this.problem(`${who}: ${publication} is at ${place} and at ${before}`);
    this.#publicationAt.set(place, publication);
    this.#placeOf.set(publication, place);
  }
}

export interface Place {
  readonly epoch: string;
  readonly offset: number;
}

interface Shared {
  readonly problem: (text: string) => void;
  readonly delivered: (publication: string, place: Place) => void;
}

export class ReaderHistory {
  readonly #name: string;
  readonly #shared: Shared;
  /** The last place seen; undefined before the first, and after a loss. */
  #last: Place | undefined;
  /** Up to here anything may be missing: the reader was told. */
  #excusedTo = 0;
  losses = 0;
  gaps = 0;
  received = 0;

  constructor(name: string, shared: Shared) {
    this.#name = name;
    this.#shared = shared;
  }

  message(publication: string, place: Place): void {
    this.received++;
    this.#shared.delivered(publication, place);
    const last = this.#last;
    this.#last = place;
    if (last === undefined) return;
    if (last.epoch !== place.epoch) {
      this.#shared.problem(`${this.#name}: the epoch changed at ${place.offset} and nobody said so`);
    } else if (place.offset <= last.offset) {
      this.#shared.problem(`${this.#name}: ${place.offset} came after ${last.offset}`);
    } else if (place.offset > last.offset + 1 && place.offset > this.#excusedTo + 1) {
      this.#shared.problem(`${this.#name}: ${place.offset} came after ${last.offset}, unannounced`);
    }
  }

  /** The reader was told that messages up to `offset` are missing. */
  gap(offset: number): void {
    this.gaps++;
    this.#excusedTo = Math.max(this.#excusedTo, offset);
  }

  /** The reader was told that it does not know what it missed. */
  lost(): void {
    this.losses++;
    this.#last = undefined;
    this.#excusedTo = 0;
  }
}
