import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { temporaryDirectory, testBroker } from "../support/broker.ts";
import { bundleClient, runScript } from "../support/client-bundle.ts";

describe.each(["node", "bun"])("a process on %s", (runtime) => {
  const command = runtime === "bun" ? process.execPath : runtime;

  test("ends by itself once all is answered, without close()", async () => {
    await using broker = await testBroker();
    using bundle = await bundleClient();
    const script = await bundle.script(`
      const client = new Client({ label: "leaves the door open" });
      await client.set("k", 1);
      console.log(await client.get("k"), client.state);`);
    expect(await runScript([command, script], broker.pipe)).toEqual({ stdout: "1 connected\n", stderr: "", code: 0 });
  });

  test("stays for an answer it awaits", async () => {
    await using broker = await testBroker();
    using bundle = await bundleClient();
    const script = await bundle.script(`
      const [reader, writer] = [new Client(), new Client()];
      const waiting = reader.get("k", { waitMs: -1 }).then((value) => console.log("got", value));
      await writer.ping();
      await writer.get("absent", { waitMs: 50 }).catch((error) => console.log(error.code));
      await writer.set("k", "it");`);
    expect(await runScript([command, script], broker.pipe)).toEqual({
      stdout: "timeout\ngot it\n",
      stderr: "",
      code: 0,
    });
  });

  test("stays while it waits for a broker, then says that there is none", async () => {
    using directory = temporaryDirectory();
    using bundle = await bundleClient();
    const pipe = join(directory.path, "none");
    const script = await bundle.script(`
      const client = new Client({ timeoutMs: 200 });
      await client.ping().catch((error) => console.log(error instanceof EphemeralError, error.code));`);
    expect(await runScript([command, script], pipe)).toEqual({ stdout: "true unavailable\n", stderr: "", code: 0 });
  });

  test("ends when the wait was aborted", async () => {
    await using broker = await testBroker();
    using bundle = await bundleClient();
    const script = await bundle.script(`
      const client = new Client();
      await client.ping();
      await client.get("k", { waitMs: -1, signal: AbortSignal.timeout(20) }).catch((error) => console.log(error.name));`);
    expect(await runScript([command, script], broker.pipe)).toEqual({ stdout: "TimeoutError\n", stderr: "", code: 0 });
  });
});
