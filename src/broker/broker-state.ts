/**
 * The life of a broker as a table: running, draining (new joiners are refused, everybody else is served), stopped. Pure;
 * joiners, timers and sockets are others' part.
 */

export type BrokerState = "running" | "draining" | "stopped";

export type BrokerEvent =
  /** It is to end as soon as those who joined have gone. */
  | "drain"
  /** It ends now. */
  | "stop";

/** Why a broker should end: a client said `drain`, or nobody was connected for `idleTimeoutMs`. */
export type EndReason = "drain" | "idle";

/** An event that does not apply leaves the state as it is. */
export function nextBrokerState(state: BrokerState, event: BrokerEvent): BrokerState {
  if (event === "stop") return "stopped";
  return state === "running" ? "draining" : state;
}
