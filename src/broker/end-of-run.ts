/**
 * What is to be run when the run ends, as it is registered: bounded, the same thing once. Runs nothing: whoever started the
 * broker keeps it, and runs it.
 */
import type { EndCommand } from "../protocol/end-of-run.ts";
import { EphemeralError } from "../protocol/errors.ts";

export interface EndOfRunOptions {
  readonly commandsMax: number;
  /** Makes sure that the command is run, and throws when it cannot. */
  readonly keep: (command: EndCommand) => void;
}

export class EndOfRun {
  readonly #options: EndOfRunOptions;
  /** What is kept, as text: the same argv, cwd and env are the same command. */
  readonly #kept = new Set<string>();
  #isOver = false;

  constructor(options: EndOfRunOptions) {
    this.#options = options;
  }

  /** Once this has returned the command is run at the end, whatever becomes of this process.
   *  @throws {EphemeralError} `max_items`, `draining` when the end has begun, and what `keep` throws */
  register(command: EndCommand): void {
    const { argv, cwd, env = {} } = command;
    const identity = JSON.stringify([argv, cwd, Object.entries(env).toSorted()]);
    if (this.#kept.has(identity)) return;
    if (this.#isOver) throw new EphemeralError("draining", refusedBecause("the run has ended"));
    const { commandsMax, keep } = this.#options;
    if (this.#kept.size >= commandsMax) {
      throw new EphemeralError("max_items", refusedBecause(`${commandsMax} are registered, which is the limit`));
    }
    keep(command);
    this.#kept.add(identity);
  }

  /** Takes no more: what is registered is run now. */
  close(): void {
    this.#isOver = true;
  }
}

function refusedBecause(actual: string): string {
  return `Cannot register a command for the end of the run: ${actual}`;
}
