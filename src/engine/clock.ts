/**
 * Time as the engine sees it: a reading and an alarm, both handed in, so that tests decide what time it is.
 * The system clock never runs backwards or jumps, whatever is done to the wall clock meanwhile.
 */

/** Ends an alarm that has not gone off. Ending it twice is harmless. */
export type CancelAlarm = () => void;

export interface Clock {
  /** Unix milliseconds, an integer that never decreases. */
  nowMs(): number;
  /** Calls `alarm` once, at `atMs` or soon after, never within this call. */
  schedule(atMs: number, alarm: () => void): CancelAlarm;
}

/** Timers take at most a signed 32-bit number of milliseconds; a farther alarm is set again on the way. */
const timerMsMax = 2 ** 31 - 1;

/** The wall clock as it stood when the process started, carried on by the monotonic one. */
export const systemClock: Clock = {
  nowMs: () => Math.floor(performance.timeOrigin + performance.now()),
  schedule(atMs, alarm) {
    let timer: ReturnType<typeof setTimeout>;
    const arm = (): void => {
      const leftMs = atMs - systemClock.nowMs();
      timer = leftMs > timerMsMax ? setTimeout(arm, timerMsMax) : setTimeout(alarm, Math.max(leftMs, 0));
      timer.unref?.();
    };
    arm();
    return () => clearTimeout(timer);
  },
};

/** How long something takes: milliseconds with their fractions, from an instant of the runtime's. No deadline goes by it. */
export const elapsedMs = (): number => performance.now();
