import { describe, expect, test } from "bun:test";
import { chownSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client } from "../../src/client/client.ts";
import { BunPipeTransport } from "../../src/client/transports/bun-pipe-transport.ts";
import { PipeTransport } from "../../src/client/transports/pipe-transport.ts";
import type { Transport } from "../../src/client/transports/transport.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { scriptedBroker } from "../support/scripted-broker.ts";

/** What opening a transport comes to. */
function opening(transport: Transport): Promise<"open" | Error | undefined> {
  return new Promise((resolve) => {
    transport.open({
      onOpen: () => {
        transport.close();
        resolve("open");
      },
      onData: () => {},
      onClose: resolve,
    });
  });
}

describe.each([
  ["PipeTransport", PipeTransport],
  ["BunPipeTransport", BunPipeTransport],
])("%s.open()", (_name, Pipe) => {
  const opened = (path: string) => opening(new Pipe(path));

  test("opens a socket of this user", async () => {
    await using broker = await scriptedBroker();
    expect(await opened(broker.pipe)).toBe("open");
  });

  test("refuses a path longer than a socket address, which Node would cut", async () => {
    const path = `/tmp/${"x".repeat(103)}`;
    const failure = await opened(path);
    expect(failure).toMatchObject({ code: "bad_command" });
    expect((failure as Error).message).toContain("this one has 108");
    expect(await opened(path.slice(0, -1))).toMatchObject({ code: "ENOENT" });
  });

  test("counts the path in bytes", async () => {
    expect(await opened(`/tmp/${"é".repeat(52)}`)).toMatchObject({ code: "bad_command" });
  });

  test("tells a missing file and one that is no socket", async () => {
    using directory = temporaryDirectory();
    const path = join(directory.path, "sock");
    expect(await opened(path)).toMatchObject({ code: "ENOENT" });
    writeFileSync(path, "");
    expect(await opened(path)).toBeInstanceOf(Error);
  });

  // Only root can give a socket away, so elsewhere there is nothing to show.
  test.skipIf(process.getuid?.() !== 0)("refuses a socket of another user before a byte is sent", async () => {
    await using broker = await scriptedBroker();
    chownSync(broker.pipe, 65_534, 65_534);
    using client = new Client(broker.pipe);
    const failure: unknown = await client.set("k", 1).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "forbidden" });
    expect((failure as Error).message).toContain("uid 65534");
    expect({ state: client.state, dialled: broker.waiting }).toEqual({ state: "closed", dialled: 0 });
  });
});
