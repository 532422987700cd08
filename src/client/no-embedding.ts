/**
 * What `ephemerald/broker` is where there is no Bun: the reason why it cannot be, in words. Knows nothing of brokers.
 */
import { EphemeralError } from "../protocol/errors.ts";

export { EphemeralError } from "../protocol/errors.ts";

/** Only Bun can hold a broker.
 *  @throws {EphemeralError} `unavailable`, always */
export function startBroker(): Promise<never> {
  const text =
    'Cannot embed broker: this needs Bun. Elsewhere launch one: import { Broker } from "ephemerald", or run under ephemeral start -- <command>';
  return Promise.reject(new EphemeralError("unavailable", text));
}
