/**
 * A sign of life at regular intervals, for who reads the log of a broker that otherwise has nothing to tell. Knows when,
 * not what.
 */
import type { CancelAlarm, Clock } from "../../engine/clock.ts";
import { type Log, type LogFields, reportInternal } from "./log.ts";

export interface HeartbeatOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly everyMs: number;
  /** How the broker is. */
  readonly read: () => Promise<LogFields>;
}

/** Tells `heartbeat` every `everyMs`, for the first time after one interval. Does not keep the process alive. */
export function startHeartbeat({ clock, log, everyMs, read }: HeartbeatOptions): CancelAlarm {
  let nextAtMs = clock.nowMs() + everyMs;
  const beat = (): void => {
    read().then(
      (fields) => log.info("heartbeat", fields),
      (error: unknown) => reportInternal(log, { error, action: undefined }),
    );
    // Beats that could not be, because the machine slept, are not caught up on.
    nextAtMs = Math.max(nextAtMs, clock.nowMs()) + everyMs;
    cancel = clock.schedule(nextAtMs, beat);
  };
  let cancel = clock.schedule(nextAtMs, beat);
  return () => cancel();
}
