/**
 * Commands without an id: each is answered before the next starts, so that answers can be told apart by their order alone.
 * Knows nothing of what the tasks do. Bounded: past the bound only a number is kept per refused command; and while answers
 * are held back it starts nothing, so that what is said stays bounded too.
 */
import type { Awaitable } from "../../engine/engine.ts";

/** Does one command and answers it. Never throws and never rejects. */
export type Task = () => Awaitable<void>;

/** One more task for the line. */
export interface TaskOffer {
  /** What it costs to keep it until its turn, in bytes. */
  readonly bytes: number;
  readonly task: Task;
  /** The same in the form in which it is kept, made only when it has to wait. */
  readonly kept: () => Task;
}

interface Place {
  readonly task: Task;
  readonly bytes: number;
  /** Commands that came right behind this one and were refused for want of room. */
  refused: number;
}

/** What a line needs of its owner, the same for all owners. */
export interface TaskLineHost<Owner> {
  /** Whether one more task of so many bytes finds room. */
  readonly hasRoom: (owner: Owner, bytes: number) => boolean;
  /** Whether answers must wait: nothing starts, nothing is refused, until `goOn` is called. */
  readonly isHeldBack: (owner: Owner) => boolean;
  /** Answers one command that found no room. */
  readonly refuse: (owner: Owner) => void;
}

export class TaskLine<Owner> {
  readonly #owner: Owner;
  readonly #host: TaskLineHost<Owner>;
  #places: Place[] = [];
  /** Of the first place: it waits for its turn, is being done, or is done with refusals behind it left to say. */
  #first: "waiting" | "running" | "done" = "waiting";
  #bytes = 0;

  constructor(owner: Owner, host: TaskLineHost<Owner>) {
    this.#owner = owner;
    this.#host = host;
  }

  get length(): number {
    return this.#places.length;
  }

  /** What the tasks that wait for their turn cost. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Runs the task now when nothing is before it, else in its turn; with the line full its refusal takes that turn. */
  run({ bytes, task, kept }: TaskOffer): void {
    const last = this.#places.at(-1);
    const waits = last !== undefined || this.#host.isHeldBack(this.#owner);
    if (!this.#host.hasRoom(this.#owner, waits ? bytes : 0)) {
      if (last === undefined) this.#host.refuse(this.#owner);
      else last.refused++;
    } else if (waits) {
      this.#places.push({ task: kept(), bytes, refused: 0 });
      this.#bytes += bytes;
    } else {
      this.#places.push({ task, bytes: 0, refused: 0 });
      this.goOn();
    }
  }

  /** Forgets the tasks that have not started: nobody is there to be answered. */
  clear(): void {
    const running = this.#first === "running" ? this.#places[0] : undefined;
    if (running !== undefined) running.refused = 0;
    else this.#first = "waiting";
    this.#places = running === undefined ? [] : [running];
    this.#bytes = 0;
  }

  /** Takes up the line again after it was held back. */
  goOn(): void {
    for (let place = this.#places[0]; place !== undefined; place = this.#places[0]) {
      if (this.#first === "running" || this.#host.isHeldBack(this.#owner)) return;
      if (this.#first === "waiting") this.#start(place);
      else if (place.refused > 0) {
        place.refused--;
        this.#host.refuse(this.#owner);
      } else {
        this.#places.shift();
        this.#first = "waiting";
      }
    }
  }

  #start({ task, bytes }: Place): void {
    this.#first = "running";
    this.#bytes -= bytes;
    const running = task();
    if (running instanceof Promise) void running.then(() => this.#done());
    else this.#first = "done";
  }

  #done(): void {
    this.#first = "done";
    this.goOn();
  }
}
