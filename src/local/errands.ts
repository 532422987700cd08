/**
 * What is to be done once whoever asks for it has returned, in its order: at once, as microtasks, but with a rest for the event
 * loop and all who wait for it after each short burst. Never by `setImmediate`: Bun's test runner turns the loop by itself while
 * an `expect` awaits a promise, and an immediate set there within another lies until something else wakes the process.
 */

/** How long errands beget errands before the loop is turned. The timer that turns it is due by then. */
const burstMs = 1;

export class Errands {
  readonly #errands: (() => void)[] = [];
  #state: "idle" | "bursting" | "resting" = "idle";
  #burstEndsAtMs = 0;

  run(errand: () => void): void {
    this.#errands.push(errand);
    if (this.#state === "idle") {
      this.#state = "bursting";
      this.#burstEndsAtMs = performance.now() + burstMs;
      this.#turnLoop();
    }
    if (this.#state === "bursting" && performance.now() > this.#burstEndsAtMs) {
      this.#state = "resting";
      // Once more: a test that made timers fake may have taken the first one with it.
      this.#turnLoop();
    }
    if (this.#state === "bursting") queueMicrotask(this.#next);
  }

  /** Keeps no process alive: whoever waits for an errand does. */
  #turnLoop(): void {
    setTimeout(this.#rested, 0).unref?.();
  }

  readonly #next = (): void => this.#errands.shift()?.();

  readonly #rested = (): void => {
    this.#state = "idle";
    // What was asked for in the burst is done: these are those of the rest.
    for (const errand of this.#errands.splice(0)) this.run(errand);
  };
}
