/**
 * A client's clock that is in a hurry: what it waits for short times, as before dialling again, takes a fraction of them.
 * For tests that lose hundreds of connections and measure nothing.
 */
import { type ClientClock, systemClientClock } from "../../src/client/client-clock.ts";

/** What is left of the longest of the waits before the next attempt. */
const hurriedMsMax = 20;

/** Waits of up to so long are those before the next attempt; longer ones are time limits and stay as they are. */
export function hurriedClock(shortMsMax: number): ClientClock {
  const hurry = shortMsMax / hurriedMsMax;
  return {
    ...systemClientClock,
    after: (delayMs, timer) => systemClientClock.after(delayMs <= shortMsMax ? delayMs / hurry : delayMs, timer),
  };
}

/** For the pipe, where the next attempt is never a second away. */
export const quickClock: ClientClock = hurriedClock(1000);
