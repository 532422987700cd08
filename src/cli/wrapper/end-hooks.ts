/**
 * The hooks of a run: kept by its reaper, so that they are run however we end, and run by it when the run has ended. A hook is
 * begun once at most; where the reaper is killed while it runs one, another reaper runs those that were not begun.
 */
import { EphemeralError } from "../../protocol/errors.ts";
import type { Reaper } from "./reaper.ts";
import { say } from "./say.ts";

export interface EndHooksOptions {
  /** Undefined where there is none to be had. */
  readonly reaper: Reaper | undefined;
  /** Another one, in the place of one that was killed. */
  readonly replace: () => Reaper | undefined;
}

export class EndHooks {
  readonly #options: EndHooksOptions;
  readonly #lines: string[] = [];

  constructor(options: EndHooksOptions) {
    this.#options = options;
  }

  /** Returns once it is sure to be run, should we be killed.
   *  @throws {EphemeralError} `unavailable` when nobody would run it */
  keep(hookLine: string): void | Promise<void> {
    const isKept = this.#options.reaper?.keep(hookLine) ?? false;
    if (isKept instanceof Promise) return this.#keepLater(hookLine, isKept);
    if (!isKept) throw notThere();
    this.#lines.push(hookLine);
  }

  /** It is counted from now on: the reaper hears it before all that it is told later. */
  async #keepLater(hookLine: string, isKept: Promise<boolean>): Promise<void> {
    this.#lines.push(hookLine);
    if (await isKept) return;
    this.#lines.splice(this.#lines.indexOf(hookLine), 1);
    throw notThere();
  }

  /** Runs them, the last one first. Returns whose duty it is to clean up from now on. */
  async run(): Promise<Reaper | undefined> {
    const { reaper, replace } = this.#options;
    if (reaper === undefined || this.#lines.length === 0) return reaper;
    const { begun, isDone } = await reaper.runHooks();
    if (isDone) return reaper;
    const left = this.#lines.slice(0, this.#lines.length - begun);
    const other = replace();
    for (const line of left) void other?.keep(line);
    const rest = await other?.runHooks();
    if (rest?.isDone !== true)
      say(`Not all commands for the end of the run were run: ${left.length - (rest?.begun ?? 0)} left`);
    return other;
  }
}

function notThere(): EphemeralError {
  const text = "Cannot register a command for the end of the run: the shell that would run it is not there";
  return new EphemeralError("unavailable", text);
}
