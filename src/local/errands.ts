/**
 * What is to be done once whoever asks for it has returned, in its order: at once, as microtasks, but with a rest for the event
 * loop and all who wait for it after each short burst. Never by `setImmediate`: Bun's test runner turns the loop by itself while
 * an `expect` awaits a promise, and an immediate set there within another lies until something else wakes the process.
 */

/** How long errands beget errands before the loop is turned. The timer that turns it is due by then. */
const burstMs = 1;

/** Past this the timer that turns the loop may be gone: one of a test's fake timers, which are real again. */
const lostMs = 50;

export class Errands {
  readonly #errands: (() => void)[] = [];
  #state: "idle" | "bursting" | "resting" = "idle";
  #beganAtMs = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  run(errand: () => void): void {
    this.#errands.push(errand);
    const nowMs = performance.now();
    // Less than nothing where a test has made the time a fake one, or real again.
    const burstedMs = nowMs - this.#beganAtMs;
    if (this.#state === "bursting" && burstedMs > burstMs) this.#state = "resting";
    if (this.#state === "idle" || burstedMs < 0 || burstedMs > lostMs) {
      // There is one timer: with two of them the loop would see to nothing else.
      if (burstedMs > lostMs) clearTimeout(this.#timer);
      this.#beganAtMs = nowMs;
      this.#timer = setTimeout(this.#rested, 0);
      // Keeps no process alive: whoever waits for an errand does.
      this.#timer.unref?.();
    }
    if (this.#state === "idle") this.#state = "bursting";
    if (this.#state === "bursting") queueMicrotask(this.#next);
  }

  readonly #next = (): void => this.#errands.shift()?.();

  readonly #rested = (): void => {
    this.#state = "idle";
    // What was asked for in the burst is done: these are those of the rest.
    for (const errand of this.#errands.splice(0)) this.run(errand);
  };
}
