import { expect, test } from "bun:test";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";
import { lineClient, testBroker } from "../support/broker.ts";
import { bundleClient, runScript } from "../support/client-bundle.ts";

/** Every command once; says what came as one line of JSON. */
const everyCommand = `
  const client = new Client({ label: "node", secret: SECRET });
  const said = {};
  said.set = typeof (await client.set("k", { text: "é", bytes: new Uint8Array([1, 2]) }, 60000));
  const stored = await client.get("k");
  said.get = [stored.text, stored.bytes instanceof Uint8Array, [...stored.bytes]];
  said.packed = await client.get("packed");
  said.list = Object.keys(await client.list("k"));
  said.lease = await client.lease("accounts", "w1", 60000);
  said.release = await client.release("w1");
  said.once = [await client.once("login", async () => "token"), await client.once("login", () => "never run")];
  said.touch = (await client.touch("k", 60000)) > Date.now();
  said.incr = [await client.incr("n"), await client.incr("n", -3)];
  said.watch = await new Promise(async (resolve) => {
    const watch = await client.watch("n", async ({ event, key }) => resolve([event, key, await watch.stop()]));
    await client.incr("n", { by: 0.5, ttl: 1000 });
  });
  said.del = [await client.del("k"), await client.del("k")];
  said.missing = await client.get("k").catch((error) => [error instanceof EphemeralError, error.code]);
  said.ping = (await client.ping()) >= 0;
  said.stats = (await client.stats()).items;
  said.health = (await client.health()).status;
  said.metrics = (await client.metrics()).includes("# TYPE");
  said.ps = (await client.ps()).some((session) => session.label === "node");
  {
    const second = new Client({ secret: SECRET });
    await second.ping();
    await second[Symbol.asyncDispose]();
    said.disposed = second.state;
  }
  said.node = process.versions.node.split(".")[0] >= 20 && process.versions.bun === undefined;
  console.log(JSON.stringify(said));
`;

test.each([
  ["without a secret", undefined],
  ["with a secret", "s3cret"],
])("every command on Node, %s", async (_what, secret) => {
  await using broker = await testBroker(secret === undefined ? {} : { secret });
  using bundle = await bundleClient({ minify: true });
  const value = gzipSync('"from the seed"').toString("base64");
  // Sealed by hand where there is a secret: the seed has its own way of proving that it knows it.
  using line = await lineClient(broker.pipe);
  const set = JSON.stringify({ action: "set", key: "packed", value, ttl: 60_000, compressed: true });
  const hmac = new Bun.CryptoHasher("sha256", secret ?? "").update(set).digest("hex");
  line.write(secret === undefined ? `${set}\n` : `${set.slice(0, -1)},"hmac":"${hmac}"}\n`);
  expect(await line.next()).toMatchObject({ ok: true });

  const script = await bundle.script(everyCommand.replaceAll("SECRET", JSON.stringify(secret ?? null)));
  const { stdout, stderr, code } = await runScript(["node", script], broker.pipe);
  expect({ stderr, code }).toEqual({ stderr: "", code: 0 });
  expect(JSON.parse(stdout)).toEqual({
    set: "number",
    get: ["é", true, [1, 2]],
    packed: "from the seed",
    list: ["k"],
    lease: 0,
    release: true,
    once: ["token", "token"],
    touch: true,
    incr: [1, -2],
    watch: ["set", "n", null],
    del: [true, false],
    missing: [true, "not_found"],
    ping: true,
    stats: 3,
    health: "healthy",
    metrics: true,
    ps: true,
    disposed: "closed",
    node: true,
  });
});

/** What `import` loads, as the package is built: 8.0 KB, of which gzip counts 1.3 to the connection, 0.9 to the link, 0.9 to options
 *  and the environment, 0.8 to loading the rest, 0.6 to values and leases. 8 KB are the goal. What is loaded when it is needed
 *  is counted apart, 15.5 KB: with the first dial what follows a loss 3.0, and a WebSocket 1.1 or the pipe 1.1 (on Bun 1.3);
 *  with the first of their calls turns, shared work and `once` 3.5, channels 2.8, requests, events and watches 1.4, the mutual
 *  proof 0.7, compression 0.6, the broker's reports 0.4. What is mostly needed together is in one part: apart it takes more. */
const gzippedBytesMax = { atOnce: 8 * 1024, later: 15.5 * 1024 };

test("the client, minified and gzipped, is at most 8 KB, 15.5 KB more when it has done all it can, and needs nothing but node:", async () => {
  const { outputs } = await Bun.build({
    entrypoints: [join(import.meta.dir, "../../src/client/client.ts")],
    target: "node",
    format: "esm",
    minify: true,
    splitting: true,
  });
  const files = new Map<string, { readonly text: string; readonly imports: readonly Bun.Import[] }>();
  for (const output of outputs) {
    const text = await output.text();
    files.set(basename(output.path), { text, imports: new Bun.Transpiler({ loader: "js" }).scanImports(text) });
  }
  const atOnce = new Set([basename(outputs.find((output) => output.kind === "entry-point")?.path ?? "")]);
  for (const name of atOnce) {
    for (const { path, kind } of files.get(name)?.imports ?? []) {
      if (kind === "import-statement" && files.has(basename(path))) atOnce.add(basename(path));
    }
  }
  const bytes = { atOnce: 0, later: 0 };
  for (const [name, { text }] of files) {
    bytes[atOnce.has(name) ? "atOnce" : "later"] += gzipSync(text, { level: 9 }).length;
  }
  expect(bytes.atOnce).toBeLessThanOrEqual(gzippedBytesMax.atOnce);
  expect(bytes.later).toBeWithin(1, gzippedBytesMax.later + 1);
  const foreign = [...files.values()].flatMap(({ imports }) => imports.map(({ path }) => path));
  expect(new Set(foreign.filter((path) => !files.has(basename(path))))).toEqual(new Set(["node:fs", "node:net"]));
});
