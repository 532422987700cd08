/**
 * Time and chance as the client sees them, handed in so that tests decide both. The system's clock is monotonic: it
 * measures waits and says nothing of the date.
 */

/** Ends a timer that has not gone off. Ending it twice is harmless. */
export type CancelTimer = () => void;

export interface ClientClock {
  /** Milliseconds since some fixed instant; never runs backwards. */
  nowMs(): number;
  /** Calls `alarm` once, `delayMs` from now. Only with `keepsAlive` does the timer hold the process. */
  after(delayMs: number, timer: { readonly alarm: () => void; readonly keepsAlive: boolean }): CancelTimer;
  /** Evenly spread from 0 to below 1. */
  random(): number;
}

/** Timers take at most a signed 32-bit number of milliseconds; nothing here waits that long. */
const timerMsMax = 2 ** 31 - 1;

export const systemClientClock: ClientClock = {
  nowMs: () => performance.now(),
  after(delayMs, { alarm, keepsAlive }) {
    const timer = setTimeout(alarm, Math.min(Math.max(delayMs, 0), timerMsMax));
    if (!keepsAlive) timer.unref?.();
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
};
