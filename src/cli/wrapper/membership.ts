/**
 * A place in the run of somebody else's broker: one connection that has said `join` and stays open, so that the broker does
 * not end before us. It is never made again: a broker that is gone has taken along all it held.
 */

import { systemClientClock } from "../../client/client-clock.ts";
import { Call, type Outgoing } from "../../client/connection/call.ts";
import { Link } from "../../client/connection/link.ts";
import { BunPipeTransport } from "../../client/transports/bun-pipe-transport.ts";
import type { EndCommand } from "../../protocol/end-of-run.ts";
import { EphemeralError } from "../../protocol/errors.ts";

export interface MembershipOptions {
  readonly pipe: string;
  readonly secret: string | undefined;
  /** Who joins, for people. */
  readonly label: string;
}

export interface Membership {
  /** Resolves with the reason when the broker has gone; never after `leave`. */
  readonly lost: Promise<string>;
  /** Has `command` run at the end of that run. */
  onEnd(command: EndCommand): Promise<void>;
  leave(): void;
}

/** How long a broker may take to let us in. */
const joinMsMax = 5000;

/** Joins the run of the broker at `pipe`.
 *  @throws {EphemeralError} `unavailable` when there is no broker, `draining` when its run is about to end, `auth_failed` */
export function joinRun({ pipe, secret, label }: MembershipOptions): Promise<Membership> {
  const joined = Promise.withResolvers<Membership>();
  const lost = Promise.withResolvers<string>();
  const transport = new BunPipeTransport(pipe);
  const options = { transport, clock: systemClientClock, greetingMs: joinMsMax, secret, introduction: { label } };
  let isAsked = false;
  const link = new Link(options, {
    onRoom() {
      if (isAsked) return;
      isAsked = true;
      const membership = {
        lost: lost.promise,
        leave,
        onEnd: (command: EndCommand) => say({ action: "onEnd", ...command }),
      };
      say({ action: "join" }).then(() => joined.resolve(membership), refused);
    },
    onGreeted() {},
    onAnswered() {},
    onLost: gone,
    onRefused: gone,
  });
  const leave = (): void => link.close();
  const say = (command: Outgoing): Promise<void> =>
    new Promise((resolve, reject) => {
      const settling = { resolve, reject, onSettled: () => {}, nowMs: 0, deadlineMs: Number.POSITIVE_INFINITY };
      link.send(new Call({ command }, settling));
    });
  const refused = (error: unknown): void => {
    joined.reject(error);
    link.close();
  };
  /** Settles whichever of the two is still open. */
  function gone(error: Error): void {
    lost.resolve(error.message);
    const isOurs = error instanceof EphemeralError;
    joined.reject(
      isOurs ? error : new EphemeralError("unavailable", `Cannot join the broker at ${pipe}: ${error.message}`),
    );
  }
  link.open();
  return joined.promise;
}
