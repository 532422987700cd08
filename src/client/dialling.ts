/**
 * How a broker is dialled on Node and Bun, by what its address is: a pipe at once, a URL with what is loaded for it then.
 * Browsers have `browser-dialling.ts` in its place.
 */
import type { Connection } from "./connection.ts";
import type { ClientSettings } from "./options.ts";
import { PipeTransport } from "./pipe-transport.ts";
import type { Transport } from "./transport.ts";
import type { WebDoor } from "./web-door.ts";

/** `connection` is asked for once there is something to dial. */
export function dialling(settings: ClientSettings, connection: () => Connection): () => Transport | Promise<Transport> {
  if (!settings.isUrl) return () => new PipeTransport(settings.pipe);
  let door: WebDoor | undefined;
  return async () => {
    const { WebDoor } = await import("./web-door.ts");
    door ??= new WebDoor(settings, connection());
    return door.dial();
  };
}
