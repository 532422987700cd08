/**
 * How a broker is dialled on Node and Bun, by what its address is, each way with what is loaded for it then. Browsers
 * have `browser-dialling.ts` in its place.
 */
import type { Connection } from "../connection/connection.ts";
import type { ClientSettings } from "../options.ts";
import type { Transport } from "./transport.ts";
import type { WebDoor } from "./web-door.ts";

/** `connection` is asked for once there is something to dial. */
export function dialling(settings: ClientSettings, connection: () => Connection): () => Transport | Promise<Transport> {
  if (!settings.isUrl) return () => pipeTransport(settings);
  let door: WebDoor | undefined;
  return async () => {
    const { WebDoor } = await import("./web-door.ts");
    door ??= new WebDoor(settings, connection());
    return door.dial();
  };
}

async function pipeTransport({ endpoint, codec }: ClientSettings): Promise<Transport> {
  // Named pipes are known to `node:net` alone.
  if (typeof Bun === "object" && process.platform !== "win32") {
    const { BunPipeTransport } = await import("./bun-pipe-transport.ts");
    return new BunPipeTransport(endpoint, { codec });
  }
  const { PipeTransport } = await import("./pipe-transport.ts");
  return new PipeTransport(endpoint, { codec });
}
