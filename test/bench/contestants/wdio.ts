/** WebdriverIO's shared store: a process that serves JSON over loopback HTTP. */
import { join } from "node:path";
import type { Contestant } from "../contestant.ts";
import { installed } from "./installed.ts";

const name = "@wdio/shared-store-service";

interface SharedStore {
  readonly default: new (options: object, capabilities: object) => unknown;
  setValue(key: string, value: string): Promise<unknown>;
  getValue(key: string): Promise<unknown>;
}

export const wdio: Contestant = {
  name,
  missing: () => installed.missing(name),
  start: async () => {
    const server = Bun.spawn(["node", join(import.meta.dir, "wdio-server.mjs")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    const reader = server.stdout.getReader();
    // Its own log comes before the port.
    while (!/^\d+$/m.test(said)) said += new TextDecoder().decode((await reader.read()).value);
    return {
      address: /^\d+$/m.exec(said)?.[0] ?? "",
      pid: server.pid,
      stop: async () => {
        server.kill("SIGTERM");
        await server.exited;
      },
    };
  },
  open: async (address) => {
    const store = await installed.loadModule<SharedStore>(name);
    new store.default({}, { "wdio:sharedStoreServicePort": Number(address) });
    return {
      set: (key, value) => store.setValue(key, value),
      get: (key) => store.getValue(key),
      close: () => {},
    };
  },
};
