/**
 * Which commands may run twice: those that change nothing, or nothing the second time. They are sent again after a cut.
 */
import type { CommandName } from "../../protocol/commands.ts";

/** A command that was sent and not answered is sent again only if it is one of these, or its session goes on. */
export const reads: ReadonlySet<CommandName> = new Set([
  "get",
  "list",
  "watch",
  "unwatch",
  "ping",
  "stats",
  "health",
  "metrics",
  "ps",
  "why",
  "serve",
  "subscribe",
  "unsubscribe",
  "history",
  "presence",
  "channels",
  "queue.info",
  "queue.close",
  "onEnd",
  // Let through twice, one is let through later than one might have been, and never too early.
  "limit",
  // What was taken and nobody was told of goes back with its session, or is given back when that goes on.
  "queue.take",
]);
