/**
 * How a broker is dialled in a browser: by its URL alone. Takes the place of `dialling.ts` in the bundle for browsers, so that
 * nothing of Node is in it.
 */
import { EphemeralError } from "../../protocol/errors.ts";
import type { Connection } from "../connection/connection.ts";
import type { ClientSettings } from "../options.ts";
import type { Transport } from "./transport.ts";
import { WebDoor } from "./web-door.ts";

export function dialling(settings: ClientSettings, connection: () => Connection): () => Transport {
  if (!settings.isUrl) {
    throw new EphemeralError(
      "bad_command",
      `Cannot connect to ${settings.endpoint}: wanted a URL (ws:, wss:), as a browser has no pipes; on Node import "ephemerald"`,
    );
  }
  let door: WebDoor | undefined;
  return () => {
    door ??= new WebDoor(settings, connection());
    return door.dial();
  };
}
