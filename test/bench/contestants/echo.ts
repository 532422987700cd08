/** The floor: a server that sends back what it got, asked with the bytes our client would send. */
import { join } from "node:path";
import type { Contestant } from "../contestant.ts";
import { lineSession } from "../line-session.ts";
import { startServer } from "../server-process.ts";

export const echo: Contestant = {
  name: "raw echo",
  missing: () => undefined,
  start: (directory) => {
    const address = join(directory, "echo");
    return startServer([process.execPath, join(import.meta.dir, "echo-server.ts"), address], address);
  },
  open: (address) => lineSession(address),
};
