/**
 * A client's clock that is in a hurry: what it waits for short times, as before dialling again, takes a fraction of them.
 * For tests that lose hundreds of connections and measure nothing.
 */
import { type ClientClock, systemClientClock } from "../../src/client/client-clock.ts";

/** Shorter waits are those before the next attempt; longer ones are time limits and stay as they are. */
const shortMsMax = 1000;
const hurry = 50;

export const quickClock: ClientClock = {
  ...systemClientClock,
  after: (delayMs, timer) => systemClientClock.after(delayMs <= shortMsMax ? delayMs / hurry : delayMs, timer),
};
