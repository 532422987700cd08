/**
 * What a client listens to beside channels: requests, events and keys. One part, as most of it is what stands on a connection.
 */
import type { Connection } from "./connection/connection.ts";
import { DirectMessages } from "./requests/direct-messages.ts";
import { Watches } from "./watches.ts";

export interface Listening {
  readonly messages: DirectMessages;
  readonly watches: Watches;
}

export function listening(connection: Connection): Listening {
  return { messages: new DirectMessages(connection), watches: new Watches(connection) };
}
