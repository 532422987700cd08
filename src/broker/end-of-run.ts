/**
 * What is to be run when the run ends, as it is registered: bounded, the same thing once. Runs nothing: whoever started the
 * broker keeps it, and runs it.
 */
import { type Clock, systemClock } from "../engine/clock.ts";
import type { Awaitable } from "../engine/engine.ts";
import type { EndCommand } from "../protocol/end-of-run.ts";
import { EphemeralError } from "../protocol/errors.ts";

export interface EndOfRunOptions {
  readonly commandsMax: number;
  readonly clock?: Clock;
  /** Makes sure that the command is run, and throws when it cannot. */
  readonly keep: (command: EndCommand) => Awaitable<void>;
}

/** How long whoever registers a command waits for it to be kept: less than a client waits for any answer. */
const keepMsMax = 3000;

export class EndOfRun {
  readonly #options: EndOfRunOptions;
  /** What is kept, as text: the same argv, cwd and env are the same command. */
  readonly #kept = new Map<string, Awaitable<void>>();
  #isOver = false;

  constructor(options: EndOfRunOptions) {
    this.#options = options;
  }

  /** Once this has returned the command is run at the end, whatever becomes of this process.
   *  @throws {EphemeralError} `max_items`, `draining` when the end has begun, what `keep` throws, and `unavailable` when it takes
   *  too long: it may be kept later then, and registered again it is the same one */
  register(command: EndCommand): Awaitable<void> {
    const { argv, cwd, env = {} } = command;
    const identity = JSON.stringify([argv, cwd, Object.entries(env).toSorted()]);
    if (this.#kept.has(identity)) return this.#inTime(this.#kept.get(identity));
    if (this.#isOver) throw new EphemeralError("draining", refusedBecause("the run has ended"));
    const { commandsMax, keep } = this.#options;
    if (this.#kept.size >= commandsMax) {
      throw new EphemeralError("max_items", refusedBecause(`${commandsMax} are registered, which is the limit`));
    }
    const keeping = keep(command);
    this.#kept.set(identity, keeping);
    if (!(keeping instanceof Promise)) return;
    keeping.then(
      () => this.#kept.set(identity, undefined),
      () => this.#kept.delete(identity),
    );
    return this.#inTime(keeping);
  }

  #inTime(keeping: Awaitable<void>): Awaitable<void> {
    if (!(keeping instanceof Promise)) return;
    const { clock = systemClock } = this.#options;
    return new Promise((resolve, reject) => {
      const cancel = clock.schedule(clock.nowMs() + keepMsMax, () => reject(notTaken()));
      keeping.finally(cancel).then(resolve, reject);
    });
  }

  /** Takes no more: what is registered is run now. */
  close(): void {
    this.#isOver = true;
  }
}

function refusedBecause(actual: string): string {
  return `Cannot register a command for the end of the run: ${actual}`;
}

function notTaken(): EphemeralError {
  const actual = `whoever is to run it has not taken it within ${keepMsMax} ms, it is stopped or hangs`;
  return new EphemeralError("unavailable", refusedBecause(`${actual}; should it go on, the command may be run`), {
    details: { outcome: "unknown" },
  });
}
