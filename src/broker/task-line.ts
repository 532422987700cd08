/**
 * Commands without an id: each is answered before the next starts, so that answers can be told apart by their order alone.
 * Knows nothing of what the tasks do. Bounded: past the bound only a number is kept per refused command.
 */
import type { Awaitable } from "../engine/engine.ts";

/** Does one command and answers it. Never throws and never rejects. */
export type Task = () => Awaitable<void>;

interface Place {
  readonly task: Task;
  /** Commands that came right behind this one and were refused for want of room. */
  refused: number;
}

export class TaskLine {
  readonly #tasksMax: number;
  readonly #refuse: () => void;
  /** The first is running whenever there is one. */
  #places: Place[] = [];

  constructor(options: {
    readonly tasksMax: number /** Answers one command that found no room. */;
    readonly refuse: () => void;
  }) {
    this.#tasksMax = options.tasksMax;
    this.#refuse = options.refuse;
  }

  get length(): number {
    return this.#places.length;
  }

  /** Runs `task` now when nothing is before it, else in its turn; with the line full its refusal takes that turn. */
  run(task: Task): void {
    const last = this.#places.at(-1);
    if (last === undefined) {
      const running = task();
      if (running instanceof Promise) {
        this.#places.push({ task, refused: 0 });
        void running.then(this.#next);
      }
    } else if (this.#places.length < this.#tasksMax) this.#places.push({ task, refused: 0 });
    else last.refused++;
  }

  /** Forgets the tasks that have not started: nobody is there to be answered. */
  clear(): void {
    this.#places = this.#places.slice(0, 1);
  }

  /** The first is done: answers those refused behind it and starts what follows, up to the next that takes its time. */
  readonly #next = (): void => {
    for (;;) {
      const done = this.#places.shift();
      for (let count = done?.refused ?? 0; count > 0; count--) this.#refuse();
      const running = this.#places[0]?.task();
      if (running instanceof Promise) {
        void running.then(this.#next);
        return;
      }
      if (this.#places.length === 0) return;
    }
  };
}
