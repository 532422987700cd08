/**
 * What becomes of a signal that was sent to us while the child runs: passed on, left to the terminal, or the beginning of
 * the end. Knows the child's few verbs and nothing of the broker. Job control is not touched: SIGTSTP stops us and the
 * child together, as the terminal sends it to both.
 */
import type { Child, Ending } from "./child.ts";
import type { SignalInbox, SignalName } from "./own-signals.ts";

/** `end`: passed on, and the child is killed when it has not ended after the grace. */
export type SignalAction = "ignore" | "forward" | "end" | "kill";

/** Signals that end us by default and are somebody's message to the run as a whole. */
export const supervisedSignals = [
  "SIGTERM",
  "SIGHUP",
  "SIGINT",
  "SIGQUIT",
  "SIGUSR1",
  "SIGUSR2",
] as const satisfies readonly SignalName[];

/** Timers take at most a signed 32-bit number of milliseconds and go off at once when told more: 24 days have to do. */
const timerMsMax = 2 ** 31 - 1;

export interface SignalSituation {
  /** Whether the terminal's signals reach the child without us. */
  readonly isInForeground: boolean;
  /** SIGINTs that came before this one. */
  readonly interruptsBefore: number;
}

/** The second SIGINT kills; one that a terminal sent to the whole foreground group is not passed on a second time. */
export function actionFor(signal: SignalName, situation: SignalSituation): SignalAction {
  switch (signal) {
    case "SIGTERM":
    case "SIGHUP":
      return "end";
    case "SIGINT":
      if (situation.interruptsBefore > 0) return "kill";
      return situation.isInForeground ? "ignore" : "forward";
    case "SIGQUIT":
      return situation.isInForeground ? "ignore" : "forward";
    default:
      return "forward";
  }
}

export interface SupervisionOptions {
  readonly inbox: SignalInbox;
  readonly graceMs: number;
  readonly isInForeground: () => boolean;
}

/** Hands signals to the child until it ends, and returns how it ended; never before. */
export async function supervise(child: Child, options: SupervisionOptions): Promise<Ending> {
  let interrupts = 0;
  let grace: ReturnType<typeof setTimeout> | undefined;
  const receive = (signal: SignalName, isInForeground: boolean): void => {
    const action = actionFor(signal, { isInForeground, interruptsBefore: interrupts });
    if (signal === "SIGINT") interrupts++;
    if (action === "forward" || action === "end") child.signal(signal);
    if (action === "end") grace ??= setTimeout(() => child.kill(), Math.min(options.graceMs, timerMsMax));
    if (action === "kill") child.kill();
  };
  // What came before the child was there has not reached it, wherever it came from.
  for (const signal of options.inbox.open((signal) => receive(signal, options.isInForeground()))) {
    receive(signal, false);
  }
  const ending = await child.ended;
  // A terminal tells the child and us at once, and we may hear of the child's end first: what ended it counts all the same.
  if (ending.kind === "killed" || ending.status !== 0) await new Promise((resolve) => setImmediate(resolve));
  // It takes no more: its pid may become another's, and what it left running is left alone.
  options.inbox.open(() => {});
  clearTimeout(grace);
  return ending;
}
