/**
 * What a runtime prints of a failure that nobody catches: the error's own name, its text, and the caller's line where the
 * runtime can tell it.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { testBroker } from "../support/broker.ts";
import { bundleLibrary, type LibraryBundle, type Runtime } from "../support/library-bundle.ts";

let library: LibraryBundle;
beforeAll(async () => {
  library = await bundleLibrary();
});
afterAll(() => library[Symbol.dispose]());

const failures = [
  { name: "a refusal", call: 'client.get("nothing")', text: 'Cannot get key "nothing"', pipe: undefined },
  { name: "no broker", call: "client.ping()", text: "Cannot ping: no broker at", pipe: "/nowhere/sock" },
];

describe.each<Runtime>(["node", "bun"])("A failure nobody catches on %s", (runtime) => {
  test.each(failures)(
    "$name: it has its name and its text, and nothing that is not there",
    async ({ call, text, pipe }) => {
      await using broker = await testBroker();
      const body = `const client = new Client();
      async function theirOwnWork() { await ${call}; }
      await theirOwnWork();`;
      const environment = { EPHEMERAL_PIPE: pipe ?? broker.pipe, CLIENT_TIMEOUT: "200" };
      await using script = await library.run(runtime, body, { environment });
      const { stderr, status } = await script.end();
      expect(status).toBe(1);
      expect(stderr).toContain(`EphemeralError: ${text}`);
      expect(stderr).not.toMatch(/^EphemeralError\d|(?:details|retryAfterMs): undefined/m);
      if (runtime === "node") {
        expect(stderr).toMatch(/at async theirOwnWork \(.*script-\d+\.mjs:\d+/);
        expect(stderr).not.toContain("Socket");
      }
    },
  );
});

test("A failure on Node names the caller's line also where the runner writes stacks itself, without V8's async", async () => {
  await using broker = await testBroker();
  const body = `const client = new Client();
  Error.prepareStackTrace = (error, frames) => [error, ...frames.map((frame) => "    at " + frame.getFunctionName())].join("\\n");
  async function theirOwnWork() { await client.get("nothing"); }
  await theirOwnWork().catch((error) => console.log(JSON.stringify(error.stack)));`;
  await using script = await library.run("node", body, { environment: { EPHEMERAL_PIPE: broker.pipe } });
  const { said, status } = await script.end();
  expect({ said, status }).toEqual({ said: [expect.stringContaining("at theirOwnWork\n")], status: 0 });
});
