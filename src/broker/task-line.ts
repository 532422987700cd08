/**
 * Commands without an id: each is answered before the next starts, so that answers can be told apart by their order alone.
 * Knows nothing of what the tasks do. Bounded: past the bound only a number is kept per refused command; and while answers
 * are held back it starts nothing, so that what is said stays bounded too.
 */
import type { Awaitable } from "../engine/engine.ts";

/** Does one command and answers it. Never throws and never rejects. */
export type Task = () => Awaitable<void>;

interface Place {
  readonly task: Task;
  /** Commands that came right behind this one and were refused for want of room. */
  refused: number;
}

export interface TaskLineOptions {
  /** Whether one more command may wait for its turn. */
  readonly hasRoom: () => boolean;
  /** Whether answers must wait: nothing starts, nothing is refused, until `goOn` is called. */
  readonly isHeldBack: () => boolean;
  /** Answers one command that found no room. */
  readonly refuse: () => void;
}

export class TaskLine {
  readonly #options: TaskLineOptions;
  #places: Place[] = [];
  /** Of the first place: it waits for its turn, is being done, or is done with refusals behind it left to say. */
  #first: "waiting" | "running" | "done" = "waiting";

  constructor(options: TaskLineOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#places.length;
  }

  /** Runs `task` now when nothing is before it, else in its turn; with the line full its refusal takes that turn. */
  run(task: Task): void {
    const last = this.#places.at(-1);
    if (this.#options.hasRoom()) {
      this.#places.push({ task, refused: 0 });
      if (last === undefined) this.goOn();
    } else if (last === undefined) this.#options.refuse();
    else last.refused++;
  }

  /** Forgets the tasks that have not started: nobody is there to be answered. */
  clear(): void {
    const running = this.#first === "running" ? this.#places[0] : undefined;
    if (running !== undefined) running.refused = 0;
    else this.#first = "waiting";
    this.#places = running === undefined ? [] : [running];
  }

  /** Takes up the line again after it was held back. */
  goOn(): void {
    for (let place = this.#places[0]; place !== undefined; place = this.#places[0]) {
      if (this.#first === "running" || this.#options.isHeldBack()) return;
      if (this.#first === "waiting") this.#start(place);
      else if (place.refused > 0) {
        place.refused--;
        this.#options.refuse();
      } else {
        this.#places.shift();
        this.#first = "waiting";
      }
    }
  }

  #start({ task }: Place): void {
    this.#first = "running";
    const running = task();
    if (running instanceof Promise) void running.then(this.#done);
    else this.#first = "done";
  }

  readonly #done = (): void => {
    this.#first = "done";
    this.goOn();
  };
}
